// Leveled messages for people, on standard error. Never data: results go to standard output.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace tenon::log {

enum class Level { debug, info, warn, error, off };

/// One of debug, info, warn, error, off; throws Error(usage) otherwise.
Level parse_level(std::string_view name);
void set_level(Level level);
void write(Level level, std::string_view message);

/// While it lives every message, of any level, goes to `handler` instead. One at a time, made
/// before and ended after the threads that write messages; the handler is called from any of them.
class Redirect {
 public:
  using Handler = std::function<void(Level level, std::string_view message)>;
  explicit Redirect(Handler handler);
  ~Redirect();
  Redirect(const Redirect&) = delete;
  Redirect& operator=(const Redirect&) = delete;

 private:
  Handler handler_;
};

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace tenon::log
