// Errors as the status codes of HTTP: the one place where they meet.
#pragma once

#include <optional>

#include "serving/http/message.h"
#include "serving/model_registry.h"

namespace tenon::serving {

/// What HTTP, KServe and the metrics call an error.
struct Status {
  int code = 500;
  Outcome outcome = Outcome::other;
  std::optional<std::int64_t> retry_after_s;
};
Status status_of(const std::exception& error);
/// For clients: without the names of files and folders of the server where it is our mistake.
std::string message_of(const std::exception& error);

/// With Retry-After where the error says so.
http::Response error_response(const std::exception& error, std::string body);

}  // namespace tenon::serving
