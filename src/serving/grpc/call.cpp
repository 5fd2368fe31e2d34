#include "serving/grpc/call.h"

namespace tenon::serving::grpc {
namespace {

std::string_view metadata_of(const ::grpc::CallbackServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

// "ipv4:127.0.0.1:4711" -> "127.0.0.1"
std::string address_of(const std::string& peer) {
  const auto first = peer.find(':');
  const auto last = peer.rfind(':');
  if (first == std::string::npos || last <= first) return peer;
  return peer.substr(first + 1, last - first - 1);
}

}  // namespace

Admission::Admission(const Gate& gate, const ::grpc::CallbackServerContext& context,
                     const char* method, Access access)
    : trace(trace_context(metadata_of(context, "traceparent"))) {
  record.id = http::request_id(metadata_of(context, "x-request-id"));
  record.trace_id = trace.trace_id;
  record.client = address_of(context.peer());
  record.method = "gRPC";
  record.path = std::string("/inference.GRPCInferenceService/") + method;
  const auto end = context.deadline();
  if (end != std::chrono::system_clock::time_point::max())
    deadline = Clock::now() +
               std::chrono::duration_cast<Clock::duration>(end - std::chrono::system_clock::now());
  if (gate.keys == nullptr || access == Access::open) return;
  http::Request request;
  request.method = "POST";
  for (const char* name : {"authorization", "x-api-key"}) {
    if (const auto value = metadata_of(context, name); !value.empty())
      request.headers[name] = std::string(value);
  }
  if (auto client = gate.keys->client_of(request)) {
    record.client = std::move(*client);
  } else {
    status = {::grpc::StatusCode::UNAUTHENTICATED,
              "a key is needed: metadata authorization: Bearer KEY, or x-api-key: KEY"};
  }
}

void CallPeer::on_gone(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!gone_) {
      if (!settled_) callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

void CallPeer::lose() {
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex_);
    if (gone_ || settled_) return;
    gone_ = true;
    callback = std::move(callback_);
  }
  if (callback) callback();
}

void CallPeer::settle() {
  std::function<void()> callback;  // goes after the lock
  const std::lock_guard lock(mutex_);
  settled_ = true;
  callback.swap(callback_);
}

}  // namespace tenon::serving::grpc
