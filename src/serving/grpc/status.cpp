#include "serving/grpc/status.h"

#include <new>

#include "serving/shared_memory.h"
#include "serving/status.h"

namespace tenon::serving::grpc {
namespace {

::grpc::StatusCode code_of(const std::exception& error) {
  using enum ::grpc::StatusCode;
  if (dynamic_cast<const UnknownModel*>(&error) != nullptr ||
      dynamic_cast<const UnknownRegion*>(&error) != nullptr)
    return NOT_FOUND;
  if (dynamic_cast<const RegionExists*>(&error) != nullptr) return ALREADY_EXISTS;
  if (dynamic_cast<const DeadlineExceeded*>(&error) != nullptr) return DEADLINE_EXCEEDED;
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return RESOURCE_EXHAUSTED;
  const auto* ours = dynamic_cast<const Error*>(&error);
  if (ours == nullptr) return INTERNAL;
  switch (ours->code()) {
    case ErrorCode::usage:
    case ErrorCode::bad_input:
      return INVALID_ARGUMENT;
    case ErrorCode::resource:
      return UNAVAILABLE;
    case ErrorCode::interrupted:
      return CANCELLED;
    case ErrorCode::check_failed:
    case ErrorCode::internal:
      return INTERNAL;
  }
  return INTERNAL;
}

}  // namespace

::grpc::Status status_of(const std::exception& error) {
  return {code_of(error), message_of(error)};
}

}  // namespace tenon::serving::grpc
