// ModelStreamInfer: any number of questions on one stream, their answers as they come.
#pragma once

#include <deque>
#include <set>

#include <grpc_service.grpc.pb.h>

#include "serving/grpc/call.h"
#include "serving/kserve/context.h"

namespace tenon::serving::grpc {

/// The streams that are open, so that they can be told to end. Any number of threads.
class Stream;
class Streams {
 public:
  void add(const std::shared_ptr<Stream>& stream);
  void remove(Stream* stream);
  /// No more questions are read; each stream ends when its last answer has left.
  void retire();

 private:
  std::mutex mutex_;
  bool retired_ = false;
  std::map<Stream*, std::weak_ptr<Stream>> open_;
};

::grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
open_stream(std::shared_ptr<const Gate> gate, const kserve::Context& context,
            http::Workers& workers, std::shared_ptr<Streams> streams, Admission admission);

}  // namespace tenon::serving::grpc
