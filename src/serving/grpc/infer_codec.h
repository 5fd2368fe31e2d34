// Questions and answers as messages.
#pragma once

#include <grpc_service.pb.h>

#include "serving/kserve/infer_data.h"

namespace tenon::serving::grpc {

/// Tensors as typed contents or, all of them, as raw bytes. Error(bad_input) says what is wrong
/// where: both or neither, a count that differs, sizes that do not add up, names that stand twice.
kserve::InferRequest decoded(const inference::ModelInferRequest& message);
/// Outputs as raw bytes, one entry each; empty for those in shared memory.
inference::ModelInferResponse encoded(const kserve::InferAnswer& answer);

}  // namespace tenon::serving::grpc
