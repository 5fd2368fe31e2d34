#include "serving/grpc/server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include "base/mapped_file.h"
#include "serving/grpc/service.h"

namespace tenon::serving::grpc {

struct Server::Core {
  Core(const Options& options, kserve::Context context)
      : workers(options.limits.workers, options.limits.queue),
        service(std::make_shared<const Gate>(options.gate), with_workers(std::move(context)),
                workers) {}

  kserve::Context with_workers(kserve::Context context) {
    if (context.workers == nullptr) context.workers = &workers;
    return context;
  }

  http::Workers workers;
  Service service;
  int port = 0;
  std::unique_ptr<::grpc::Server> server;
};

namespace {

std::shared_ptr<::grpc::ServerCredentials> credentials(const Options& options) {
  if (options.certificate.empty()) return ::grpc::InsecureServerCredentials();
  ::grpc::SslServerCredentialsOptions made;
  made.pem_key_cert_pairs.push_back(
      {read_file(options.private_key), read_file(options.certificate)});
  return ::grpc::SslServerCredentials(made);
}

int milliseconds(std::chrono::seconds time) { return static_cast<int>(time.count() * 1000); }

void limit(::grpc::ServerBuilder& builder, const Limits& limits) {
  builder.SetMaxReceiveMessageSize(
      static_cast<int>(std::min<std::uint64_t>(limits.message_bytes, INT32_MAX)));
  builder.SetMaxSendMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, limits.metadata_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.streams);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(limits.keepalive));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(limits.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  ::grpc::ResourceQuota quota("tenon");
  quota.Resize(limits.all_bytes);
  builder.SetResourceQuota(quota);
}

std::string address_of(const std::string& host, int port) {
  const bool v6 = host.find(':') != std::string::npos && host.front() != '[';
  return fmt::format("{}:{}", v6 ? "[" + host + "]" : host, port);
}

}  // namespace

Server::Server(const Options& options, kserve::Context context)
    : core_(std::make_unique<Core>(options, std::move(context))) {
  ::grpc::EnableDefaultHealthCheckService(true);
  ::grpc::ServerBuilder builder;
  limit(builder, options.limits);
  builder.AddListeningPort(address_of(options.host, options.port), credentials(options),
                           &core_->port);
  builder.RegisterService(&core_->service);
  core_->server = builder.BuildAndStart();
  if (core_->server == nullptr || core_->port == 0)
    fail(ErrorCode::resource,
         "gRPC cannot listen at {}: is the port taken, is the certificate one of the key?",
         address_of(options.host, options.port));
}

Server::~Server() { drain(std::chrono::milliseconds(0)); }

std::uint16_t Server::port() const { return static_cast<std::uint16_t>(core_->port); }

void Server::drain(std::chrono::milliseconds patience) {
  if (core_->server == nullptr) return;
  core_->service.streams().retire();
  core_->server->Shutdown(std::chrono::system_clock::now() + patience);
  core_->server->Wait();
  core_->server.reset();
}

}  // namespace tenon::serving::grpc
