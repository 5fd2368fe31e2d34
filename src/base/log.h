// Leveled messages for people, on standard error. Never data: results go to standard output.
#pragma once

#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace tenon::log {

enum class Level { debug, info, warn, error, off };

/// One of debug, info, warn, error, off; throws Error(usage) otherwise.
Level parse_level(std::string_view name);
void set_level(Level level);
void write(Level level, std::string_view message);

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
