// A call with one question and one answer.
#pragma once

#include <chrono>

#include <google/protobuf/message.h>
#include <grpcpp/support/server_callback.h>

#include "serving/grpc/call.h"
#include "serving/grpc/status.h"

namespace tenon::serving::grpc {

/// Ends once, by whoever is first: the answer, a failure or the client's leaving. Questions and
/// answers belong to gRPC and are there until then only. Any number of threads.
class Unary final : public CallPeer {
 public:
  Unary(std::shared_ptr<const Gate> gate, Admission admission, ::grpc::ServerUnaryReactor* reactor)
      : CallPeer(gate, admission),
        gate_(std::move(gate)),
        admission_(std::move(admission)),
        reactor_(reactor) {}
  const Admission& admission() const { return admission_; }

  template <typename Write>
  void answer(const Write& write) {
    const std::lock_guard lock(mutex_);
    if (reactor_ == nullptr) return;
    admission_.record.bytes_out = write();
    end(::grpc::Status::OK);
  }
  void fail(const ::grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    if (reactor_ != nullptr) end(status);
  }
  void cancelled() {
    lose();
    const std::lock_guard lock(mutex_);
    admission_.record.gone = true;
    const bool late = admission_.deadline && Clock::now() >= *admission_.deadline;
    if (reactor_ != nullptr)
      end(late ? ::grpc::Status(::grpc::StatusCode::DEADLINE_EXCEEDED, "the deadline is over")
               : ::grpc::Status::CANCELLED);
  }
  void took(std::size_t bytes) { admission_.record.bytes_in = bytes; }

 private:
  void end(const ::grpc::Status& status) {
    admission_.record.status = status.error_code();
    admission_.record.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    if (gate_->on_access) gate_->on_access(admission_.record);
    std::exchange(reactor_, nullptr)->Finish(status);
    settle();
  }

  std::shared_ptr<const Gate> gate_;
  Admission admission_;
  std::mutex mutex_;
  ::grpc::ServerUnaryReactor* reactor_;
  Clock::time_point begin_ = Clock::now();
};

/// gRPC's side: lives until the call is done.
class UnaryReactor final : public ::grpc::ServerUnaryReactor {
 public:
  UnaryReactor(std::shared_ptr<const Gate> gate, Admission admission)
      : call_(std::make_shared<Unary>(std::move(gate), std::move(admission), this)) {}
  const std::shared_ptr<Unary>& call() const { return call_; }
  void OnCancel() override { call_->cancelled(); }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<Unary> call_;
};

}  // namespace tenon::serving::grpc
