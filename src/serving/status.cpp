#include "serving/status.h"

#include <new>

#include "serving/shared_memory.h"

namespace tenon::serving {

Status status_of(const std::exception& error) {
  if (dynamic_cast<const UnknownModel*>(&error) != nullptr) return {404, Outcome::other, {}};
  if (dynamic_cast<const UnknownRegion*>(&error) != nullptr) return {404, Outcome::other, {}};
  if (dynamic_cast<const RegionExists*>(&error) != nullptr) return {409, Outcome::other, {}};
  if (const auto* rejected = dynamic_cast<const Rejected*>(&error))
    return {429, Outcome::rejected, rejected->retry_after().count()};
  if (dynamic_cast<const DeadlineExceeded*>(&error) != nullptr) return {503, Outcome::rejected, 1};
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return {503, Outcome::backend, 1};
  const auto* ours = dynamic_cast<const Error*>(&error);
  if (ours == nullptr) return {500, Outcome::backend, {}};
  switch (ours->code()) {
    case ErrorCode::usage:
    case ErrorCode::bad_input:
      return {400, Outcome::other, {}};
    case ErrorCode::resource:
      return {503, Outcome::backend, 1};
    case ErrorCode::interrupted:
      return {503, Outcome::cancelled, {}};
    case ErrorCode::check_failed:
    case ErrorCode::internal:
      return {500, Outcome::backend, {}};
  }
  return {};
}

std::string message_of(const std::exception& error) {
  if (dynamic_cast<const Error*>(&error) != nullptr) return error.what();
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return "memory ran out";
  return "internal error";
}

http::Response error_response(const std::exception& error, std::string body) {
  const Status status = status_of(error);
  http::Response response{status.code, std::move(body), "application/json", {}};
  if (status.retry_after_s)
    response.headers.emplace_back("Retry-After", std::to_string(*status.retry_after_s));
  return response;
}

}  // namespace tenon::serving
