#include "base/error.h"

namespace tenon {

int exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::check_failed:
      return 1;
    case ErrorCode::usage:
      return 2;
    case ErrorCode::bad_input:
      return 3;
    case ErrorCode::resource:
      return 4;
    case ErrorCode::interrupted:
      return 130;
    case ErrorCode::internal:
      return 70;
  }
  return 70;
}

Error::Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {
  render();
}

Error& Error::in(std::string place) {
  places_.push_back(std::move(place));
  render();
  return *this;
}

Error& Error::hint(std::string advice) {
  advice_ = std::move(advice);
  render();
  return *this;
}

void Error::render() {
  full_.clear();
  for (auto place = places_.rbegin(); place != places_.rend(); ++place) full_ += *place + ": ";
  full_ += message_;
  if (!advice_.empty()) full_ += "\n  try: " + advice_;
}

}  // namespace tenon
