// Errors as the status codes of gRPC: the one place where they meet.
#pragma once

#include <exception>

#include <grpcpp/support/status.h>

namespace tenon::serving::grpc {

/// As Triton's server gives them: NOT_FOUND, INVALID_ARGUMENT, UNAVAILABLE for a full queue,
/// DEADLINE_EXCEEDED, ALREADY_EXISTS, CANCELLED, INTERNAL.
::grpc::Status status_of(const std::exception& error);

}  // namespace tenon::serving::grpc
