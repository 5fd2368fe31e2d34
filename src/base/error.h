// The one exception type of the project, thrown on cold paths only.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

namespace tenon {

enum class ErrorCode {
  check_failed,  ///< a comparison or diagnosis found a fault; exit code 1
  usage,         ///< the caller asked for something that cannot be meant; exit code 2
  bad_input,     ///< a file or request is malformed or not supported; exit code 3
  resource,      ///< memory, disk or a device ran out or failed; exit code 4
  interrupted,   ///< the user stopped the work; exit code 130
  internal,      ///< a mistake of ours; exit code 70
};

int exit_code(ErrorCode code) noexcept;

/// What went wrong, where, and what to do. The message says what was found and what was expected;
/// `context` runs from the outermost place (a file) to the innermost (a node, a tensor).
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message);

  /// Adds an outer place: `file.onnx`, `node /layers.0/MatMul`. Returns itself, to be thrown on.
  Error& in(std::string place);
  /// Adds what the user can do about it; printed after the message.
  Error& hint(std::string advice);

  ErrorCode code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& advice() const noexcept { return advice_; }
  /// `outer: inner: message (advice)`
  const char* what() const noexcept override { return full_.c_str(); }

 private:
  void render();

  ErrorCode code_;
  std::string message_;
  std::string advice_;
  std::vector<std::string> places_;  // innermost first
  std::string full_;
};

template <typename... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

/// Malformed or unsupported input: the commonest refusal.
template <typename... Args>
[[noreturn]] void bad_input(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::bad_input, fmt::format(format, std::forward<Args>(args)...));
}

/// Runs `body` and adds `place` to any Error that leaves it.
template <typename Body>
decltype(auto) with_context(std::string_view place, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& error) {
    error.in(std::string(place));
    throw;
  }
}

}  // namespace tenon
