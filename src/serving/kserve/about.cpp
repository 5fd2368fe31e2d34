#include "serving/kserve/about.h"

#include "base/version.h"
#include "serving/kserve/ports.h"

namespace tenon::serving::kserve {
namespace {

inference::DataType config_type(const std::string& datatype) {
  inference::DataType type = inference::TYPE_INVALID;
  inference::DataType_Parse("TYPE_" + (datatype == "BYTES" ? std::string("STRING") : datatype),
                            &type);
  return type;
}

template <typename List>
void complete_ports(List* list, const std::vector<Port>& ports, bool batched) {
  if (!list->empty()) return;
  for (const Port& port : ports) {
    auto* one = list->Add();
    one->set_name(port.name);
    one->set_data_type(config_type(port.datatype));
    for (std::size_t i = batched ? 1 : 0; i < port.shape.size(); ++i) one->add_dims(port.shape[i]);
  }
}

void put(inference::StatisticDuration* to, const ModelStats::Duration& from) {
  to->set_count(from.count);
  to->set_ns(from.ns);
}

}  // namespace

inference::ServerMetadataResponse about_server() {
  inference::ServerMetadataResponse about;
  about.set_name("tenon");
  about.set_version(std::string(version()));
  for (const char* extension :
       {"classification", "sequence", "model_repository", "model_repository(unload_dependents)",
        "schedule_policy", "model_configuration", "system_shared_memory", "binary_tensor_data",
        "parameters", "statistics", "trace", "logging", "generate"})
    about.add_extensions(extension);
  return about;
}

inference::ModelMetadataResponse about_model(const ModelInfo& info,
                                             const std::vector<std::string>& versions) {
  inference::ModelMetadataResponse about;
  about.set_name(info.name);
  for (const std::string& version : versions) about.add_versions(version);
  about.set_platform(info.platform);
  const auto list = [](auto* to, const std::vector<Port>& ports) {
    for (const Port& port : ports) {
      auto* one = to->Add();
      one->set_name(port.name);
      one->set_datatype(port.datatype);
      for (const auto size : port.shape) one->add_shape(size);
    }
  };
  list(about.mutable_inputs(), inputs_of(info));
  list(about.mutable_outputs(), outputs_of(info));
  return about;
}

inference::ModelConfig config_of(const ModelInfo& info) {
  inference::ModelConfig config = info.config;
  config.set_name(info.name);
  if (config.platform().empty() && config.backend().empty()) {
    config.set_platform(info.platform);
    config.set_backend("tenon");
  }
  if (!config.has_version_policy())
    config.mutable_version_policy()->mutable_latest()->set_num_versions(1);
  const bool batched = config.max_batch_size() > 0;
  complete_ports(config.mutable_input(), inputs_of(info), batched);
  complete_ports(config.mutable_output(), outputs_of(info), batched);
  if (config.instance_group().empty()) {
    auto* group = config.add_instance_group();
    group->set_name(info.name);
    group->set_kind(inference::ModelInstanceGroup::KIND_CPU);
    group->set_count(1);
  }
  const auto parameter = [&](const char* name, std::int64_t value) {
    if (!config.parameters().contains(name))
      (*config.mutable_parameters())[name].set_string_value(std::to_string(value));
  };
  parameter("max_queue_size", info.limits.queue);
  parameter("context_tokens", info.limits.context_tokens);
  if (info.kind != ModelKind::tensors)
    config.mutable_model_transaction_policy()->set_decoupled(true);
  return config;
}

inference::ModelStatistics statistics_of(const ModelRegistry::Held& held) {
  const ModelStats::Values values = held.stats->values();
  inference::ModelStatistics made;
  made.set_name(held->info().name);
  made.set_version(held->info().version);
  made.set_last_inference(values.last_inference_ms);
  made.set_inference_count(values.inferences);
  made.set_execution_count(values.executions);
  auto* stats = made.mutable_inference_stats();
  put(stats->mutable_success(), values.success);
  put(stats->mutable_fail(), values.fail);
  put(stats->mutable_queue(), values.queue);
  put(stats->mutable_compute_input(), values.input);
  put(stats->mutable_compute_infer(), values.infer);
  put(stats->mutable_compute_output(), values.output);
  stats->mutable_cache_hit();
  stats->mutable_cache_miss();
  for (const auto& [size, batch] : values.batches) {
    auto* one = made.add_batch_stats();
    one->set_batch_size(size);
    put(one->mutable_compute_input(), batch.input);
    put(one->mutable_compute_infer(), batch.infer);
    put(one->mutable_compute_output(), batch.output);
  }
  return made;
}

inference::RepositoryIndexResponse index_of(const ModelRegistry& models, bool only_ready) {
  inference::RepositoryIndexResponse index;
  for (const auto& entry : models.index()) {
    if (only_ready && entry.state != "READY") continue;
    auto* one = index.add_models();
    one->set_name(entry.name);
    one->set_version(entry.version);
    one->set_state(entry.state);
    one->set_reason(entry.reason);
  }
  return index;
}

}  // namespace tenon::serving::kserve
