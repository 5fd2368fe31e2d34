// One call of gRPC as those see it who answer: a Peer that ends once, is counted and logged.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "serving/http/server.h"
#include "serving/peer.h"
#include "serving/served_model.h"

namespace tenon::serving::grpc {

/// What all calls of a server share.
struct Gate {
  std::shared_ptr<const http::ApiKeys> keys;  ///< null: everybody may ask
  std::function<void(const http::AccessRecord&)> on_access;
  std::shared_ptr<TraceSettings> traces;
};

enum class Access { keyed, open };

/// What the metadata of a call says of its client. UNAUTHENTICATED in `status` without a key.
struct Admission {
  Admission(const Gate& gate, const ::grpc::CallbackServerContext& context, const char* method,
            Access access);
  http::AccessRecord record;
  TraceContext trace;
  std::optional<Clock::time_point> deadline;
  ::grpc::Status status;
};

/// A peer whose end others tell it. Any number of threads.
class CallPeer : public Peer {
 public:
  CallPeer(std::shared_ptr<const Gate> gate, const Admission& admission)
      : gate_(std::move(gate)),
        id_(admission.record.id),
        client_(admission.record.client),
        trace_(admission.trace) {}
  const std::string& request_id() const override { return id_; }
  const std::string& client() const override { return client_; }
  std::size_t pending() const override { return 0; }
  bool gone() const override { return gone_; }
  void on_gone(std::function<void()> callback) override;
  const TraceContext& trace() const override { return trace_; }
  TraceSettings* traces() const override { return gate_->traces.get(); }

  void lose();
  /// The answer is complete: what the callback keeps alive may go.
  void settle();

 private:
  std::shared_ptr<const Gate> gate_;
  std::string id_, client_;
  TraceContext trace_;
  std::mutex mutex_;
  std::atomic<bool> gone_{false};
  bool settled_ = false;
  std::function<void()> callback_;
};

}  // namespace tenon::serving::grpc
