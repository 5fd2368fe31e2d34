#include "serving/grpc/service.h"

#include "serving/grpc/infer_codec.h"
#include "serving/kserve/about.h"
#include "serving/kserve/execute.h"

namespace tenon::serving::grpc {
namespace {

/// The one answer of ModelInfer.
class UnaryReply final : public kserve::InferReply {
 public:
  UnaryReply(std::shared_ptr<Unary> call, inference::ModelInferResponse* response)
      : call_(std::move(call)), peer_(call_), response_(response) {}
  const std::shared_ptr<Peer>& peer() const override { return peer_; }
  void answer(kserve::InferAnswer answer) override {
    inference::ModelInferResponse made = encoded(answer);
    call_->answer([&] {
      response_->Swap(&made);
      return response_->ByteSizeLong();
    });
  }
  void failed(const std::exception& error) override { call_->fail(status_of(error)); }

 private:
  std::shared_ptr<Unary> call_;
  std::shared_ptr<Peer> peer_;
  inference::ModelInferResponse* response_;  // gRPC's until the call ends
};

[[noreturn]] void no_cuda() {
  bad_input(
      "CUDA shared memory is not offered: this server computes on the CPU; use system shared "
      "memory");
}

std::string load_name(const std::string& repository, const std::string& name) {
  if (!repository.empty())
    bad_input("'repository_name' specification is not supported: it is '{}'",
              repository.substr(0, 128));
  return name;
}

LoadParameters load_parameters(const inference::RepositoryModelLoadRequest& request) {
  LoadParameters made;
  for (const auto& [name, value] : request.parameters()) {
    const bool file = name.starts_with("file:");
    if (name == "config" && value.has_string_param())
      made.config = value.string_param();
    else if (file && value.has_bytes_param())
      made.files[name.substr(5)] = value.bytes_param();
    else
      bad_input("parameter '{}': config as string_param or file:PATH as bytes_param was expected",
                name.substr(0, 128));
  }
  return made;
}

void check_unload(const inference::RepositoryModelUnloadRequest& request) {
  for (const auto& [name, value] : request.parameters()) {
    if (name != "unload_dependents" || !value.has_bool_param())
      bad_input("parameter '{}': unload_dependents as bool_param was expected",
                name.substr(0, 128));
  }
}

void put_traces(const TraceSettings& traces, const std::string& model,
                inference::TraceSettingResponse* response) {
  for (const auto& [name, values] : traces.written(model)) {
    auto& one = (*response->mutable_settings())[name];
    for (const auto& value : values) one.add_value(value);
  }
}

serving::LogSettings::Changes log_changes(const inference::LogSettingsRequest& request) {
  using Value = inference::LogSettingsRequest::SettingValue;
  serving::LogSettings::Changes changes;
  for (const auto& [name, value] : request.settings()) {
    if (value.parameter_choice_case() == Value::kBoolParam)
      changes[name] = value.bool_param();
    else if (value.parameter_choice_case() == Value::kUint32Param)
      changes[name] = std::int64_t{value.uint32_param()};
    else if (value.parameter_choice_case() == Value::kStringParam)
      changes[name] = value.string_param();
    else
      bad_input("{}: has no value", name.substr(0, 60));
  }
  return changes;
}

void put_logs(const serving::LogSettings& logs, inference::LogSettingsResponse* response) {
  for (const auto& [name, value] : logs.written()) {
    auto& one = (*response->mutable_settings())[name];
    if (const auto* flag = std::get_if<bool>(&value))
      one.set_bool_param(*flag);
    else if (const auto* number = std::get_if<std::int64_t>(&value))
      one.set_uint32_param(static_cast<std::uint32_t>(*number));
    else
      one.set_string_param(std::get<std::string>(value));
  }
}

}  // namespace

Service::Service(std::shared_ptr<const Gate> gate, kserve::Context context, http::Workers& workers)
    : gate_(std::move(gate)), context_(std::move(context)), workers_(workers) {
  if (context_.shared_memory == nullptr) context_.shared_memory = std::make_shared<SharedMemory>();
  if (context_.traces == nullptr) context_.traces = std::make_shared<TraceSettings>();
  if (context_.logs == nullptr) context_.logs = std::make_shared<serving::LogSettings>();
}

template <typename Request, typename Response, typename Body>
Service::Reactor* Service::quick(Context* context, const char* method, const Request* request,
                                 Response* response, const Body& body, Access access) {
  auto* reactor = new UnaryReactor(gate_, Admission(*gate_, *context, method, access));
  const auto call = reactor->call();
  call->took(request->ByteSizeLong());
  if (!call->admission().status.ok()) {
    call->fail(call->admission().status);
    return reactor;
  }
  try {
    Response made;
    body(&made);
    call->answer([&] {
      response->Swap(&made);
      return response->ByteSizeLong();
    });
  } catch (const std::exception& error) {
    call->fail(status_of(error));
  }
  return reactor;
}

template <typename Request>
Service::Reactor* Service::slow(Context* context, const char* method, const Request* request,
                                std::function<void()> body) {
  auto* reactor = new UnaryReactor(gate_, Admission(*gate_, *context, method, Access::keyed));
  const auto call = reactor->call();
  call->took(request->ByteSizeLong());
  if (!call->admission().status.ok()) {
    call->fail(call->admission().status);
    return reactor;
  }
  const bool posted = workers_.post([call, body = std::move(body)] {
    try {
      body();
      call->answer([] { return std::size_t{0}; });
    } catch (const std::exception& error) {
      call->fail(status_of(error));
    }
  });
  if (!posted) call->fail({::grpc::StatusCode::UNAVAILABLE, "all workers are busy"});
  return reactor;
}

Service::Reactor* Service::ServerLive(Context* context, const inference::ServerLiveRequest* request,
                                      inference::ServerLiveResponse* response) {
  return quick(
      context, "ServerLive", request, response, [](auto* made) { made->set_live(true); },
      Access::open);
}

Service::Reactor* Service::ServerReady(Context* context,
                                       const inference::ServerReadyRequest* request,
                                       inference::ServerReadyResponse* response) {
  return quick(context, "ServerReady", request, response,
               [&](auto* made) { made->set_ready(context_.ready() && context_.models->ready()); });
}

Service::Reactor* Service::ModelReady(Context* context, const inference::ModelReadyRequest* request,
                                      inference::ModelReadyResponse* response) {
  return quick(context, "ModelReady", request, response, [&](auto* made) {
    try {
      made->set_ready(context_.models->get(request->name(), request->version())->ready());
    } catch (const UnknownModel&) {
      made->set_ready(false);
    }
  });
}

Service::Reactor* Service::ServerMetadata(Context* context,
                                          const inference::ServerMetadataRequest* request,
                                          inference::ServerMetadataResponse* response) {
  return quick(context, "ServerMetadata", request, response,
               [](auto* made) { *made = kserve::about_server(); });
}

Service::Reactor* Service::ModelMetadata(Context* context,
                                         const inference::ModelMetadataRequest* request,
                                         inference::ModelMetadataResponse* response) {
  return quick(context, "ModelMetadata", request, response, [&](auto* made) {
    const auto held = context_.models->get(request->name(), request->version());
    *made = kserve::about_model(held->info(), context_.models->versions(request->name()));
  });
}

Service::Reactor* Service::ModelInfer(Context* context, const inference::ModelInferRequest* request,
                                      inference::ModelInferResponse* response) {
  auto* reactor = new UnaryReactor(gate_, Admission(*gate_, *context, "ModelInfer", Access::keyed));
  const auto call = reactor->call();
  call->took(request->ByteSizeLong());
  if (!call->admission().status.ok()) {
    call->fail(call->admission().status);
    return reactor;
  }
  const auto reply = std::make_shared<UnaryReply>(call, response);
  try {
    // Decoded here: the question is gRPC's, and gone as soon as the client is.
    const auto held = context_.models->get(request->model_name(), request->model_version());
    const auto asked = std::make_shared<kserve::InferRequest>(decoded(*request));
    asked->deadline = call->admission().deadline;
    const bool posted = workers_.post([this, held, asked, reply, call] {
      try {
        if (!call->gone()) kserve::execute(context_, held, std::move(*asked), reply);
      } catch (const std::exception& error) {
        reply->failed(error);
      }
    });
    if (!posted) throw Rejected("all workers are busy", std::chrono::seconds(1));
  } catch (const std::exception& error) {
    reply->failed(error);
  }
  return reactor;
}

::grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
Service::ModelStreamInfer(Context* context) {
  return open_stream(gate_, context_, workers_, streams_,
                     Admission(*gate_, *context, "ModelStreamInfer", Access::keyed));
}

Service::Reactor* Service::ModelConfig(Context* context,
                                       const inference::ModelConfigRequest* request,
                                       inference::ModelConfigResponse* response) {
  return quick(context, "ModelConfig", request, response, [&](auto* made) {
    const auto held = context_.models->get(request->name(), request->version());
    *made->mutable_config() = kserve::config_of(held->info());
  });
}

Service::Reactor* Service::ModelStatistics(Context* context,
                                           const inference::ModelStatisticsRequest* request,
                                           inference::ModelStatisticsResponse* response) {
  return quick(context, "ModelStatistics", request, response, [&](auto* made) {
    if (!request->name().empty()) {
      *made->add_model_stats() =
          kserve::statistics_of(context_.models->get(request->name(), request->version()));
      return;
    }
    for (const auto& held : context_.models->ready_models())
      *made->add_model_stats() = kserve::statistics_of(held);
  });
}

Service::Reactor* Service::RepositoryIndex(Context* context,
                                           const inference::RepositoryIndexRequest* request,
                                           inference::RepositoryIndexResponse* response) {
  return quick(context, "RepositoryIndex", request, response, [&](auto* made) {
    load_name(request->repository_name(), "");
    *made = kserve::index_of(*context_.models, request->ready());
  });
}

Service::Reactor* Service::RepositoryModelLoad(Context* context,
                                               const inference::RepositoryModelLoadRequest* request,
                                               inference::RepositoryModelLoadResponse*) {
  const auto copy = std::make_shared<inference::RepositoryModelLoadRequest>(*request);
  return slow(context, "RepositoryModelLoad", request, [this, copy] {
    context_.models->load(load_name(copy->repository_name(), copy->model_name()),
                          load_parameters(*copy));
  });
}

Service::Reactor* Service::RepositoryModelUnload(
    Context* context, const inference::RepositoryModelUnloadRequest* request,
    inference::RepositoryModelUnloadResponse*) {
  const auto copy = std::make_shared<inference::RepositoryModelUnloadRequest>(*request);
  return slow(context, "RepositoryModelUnload", request, [this, copy] {
    check_unload(*copy);
    context_.models->unload(load_name(copy->repository_name(), copy->model_name()));
  });
}

Service::Reactor* Service::SystemSharedMemoryStatus(
    Context* context, const inference::SystemSharedMemoryStatusRequest* request,
    inference::SystemSharedMemoryStatusResponse* response) {
  return quick(context, "SystemSharedMemoryStatus", request, response, [&](auto* made) {
    for (const RegionInfo& region : context_.shared_memory->status(request->name())) {
      auto& one = (*made->mutable_regions())[region.name];
      one.set_name(region.name);
      one.set_key(region.key);
      one.set_offset(region.offset);
      one.set_byte_size(region.byte_size);
    }
  });
}

Service::Reactor* Service::SystemSharedMemoryRegister(
    Context* context, const inference::SystemSharedMemoryRegisterRequest* request,
    inference::SystemSharedMemoryRegisterResponse* response) {
  return quick(context, "SystemSharedMemoryRegister", request, response, [&](auto*) {
    context_.shared_memory->add(
        {request->name(), request->key(), request->offset(), request->byte_size()});
  });
}

Service::Reactor* Service::SystemSharedMemoryUnregister(
    Context* context, const inference::SystemSharedMemoryUnregisterRequest* request,
    inference::SystemSharedMemoryUnregisterResponse* response) {
  return quick(context, "SystemSharedMemoryUnregister", request, response,
               [&](auto*) { context_.shared_memory->remove(request->name()); });
}

// Nothing is registered there: asking for all and taking all away are no mistakes.
Service::Reactor* Service::CudaSharedMemoryStatus(
    Context* context, const inference::CudaSharedMemoryStatusRequest* request,
    inference::CudaSharedMemoryStatusResponse* response) {
  return quick(context, "CudaSharedMemoryStatus", request, response, [&](auto*) {
    if (!request->name().empty()) no_cuda();
  });
}

Service::Reactor* Service::CudaSharedMemoryRegister(
    Context* context, const inference::CudaSharedMemoryRegisterRequest* request,
    inference::CudaSharedMemoryRegisterResponse* response) {
  return quick(context, "CudaSharedMemoryRegister", request, response, [](auto*) { no_cuda(); });
}

Service::Reactor* Service::CudaSharedMemoryUnregister(
    Context* context, const inference::CudaSharedMemoryUnregisterRequest* request,
    inference::CudaSharedMemoryUnregisterResponse* response) {
  return quick(context, "CudaSharedMemoryUnregister", request, response, [&](auto*) {
    if (!request->name().empty()) no_cuda();
  });
}

Service::Reactor* Service::TraceSetting(Context* context,
                                        const inference::TraceSettingRequest* request,
                                        inference::TraceSettingResponse* response) {
  return quick(context, "TraceSetting", request, response, [&](auto* made) {
    if (!request->model_name().empty()) (void)context_.models->get(request->model_name());
    TraceSettings::Changes changes;
    for (const auto& [name, setting] : request->settings()) {
      if (setting.value().empty())
        changes[name] = std::nullopt;
      else
        changes[name] = std::vector<std::string>(setting.value().begin(), setting.value().end());
    }
    // Without settings the call only asks.
    if (!changes.empty()) context_.traces->update(request->model_name(), changes);
    put_traces(*context_.traces, request->model_name(), made);
  });
}

Service::Reactor* Service::LogSettings(Context* context,
                                       const inference::LogSettingsRequest* request,
                                       inference::LogSettingsResponse* response) {
  return quick(context, "LogSettings", request, response, [&](auto* made) {
    if (!request->settings().empty()) context_.logs->update(log_changes(*request));
    put_logs(*context_.logs, made);
  });
}

}  // namespace tenon::serving::grpc
