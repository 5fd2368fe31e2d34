// What the server logs, under Triton's names for the settings: lines of JSON on standard error or
// in a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "base/json.h"
#include "base/log.h"
#include "serving/append_file.h"

namespace tenon::serving {

struct LogValues {
  std::string file;  ///< in the server's folder; empty: standard error
  bool info = true;  ///< also the line of each request
  bool warning = true;
  bool error = true;
  std::uint32_t verbose_level = 0;  ///< from 1 on what helps to find mistakes is told too
  std::string format = "default";   ///< times as seconds since 1970; ISO8601: as texts, in UTC
};

/// Any number of threads.
class LogSettings {
 public:
  /// The value of one setting as a protocol brings it.
  using Value = std::variant<bool, std::int64_t, std::string>;
  using Changes = std::map<std::string, Value, std::less<>>;

  /// `folder` may be empty: then log_file stays empty. Error(bad_input) when it is none.
  explicit LogSettings(LogValues start = {}, std::filesystem::path folder = {});

  LogValues values() const;
  /// log_file, log_info, log_warning, log_error, log_verbose_level, log_format.
  Changes written() const;
  /// All of them or, with an Error, none: Error(bad_input) for a name or value that is none.
  void update(const Changes& changes);

  /// For log::Redirect: one line with time, level and message.
  void message(log::Level level, std::string_view text) noexcept;
  /// One line with what `fields` holds, and the time; when messages of this level are told.
  void line(log::Level level, Json fields) noexcept;

 private:
  bool tells(log::Level level) const;
  void put(const std::string& text);

  std::filesystem::path folder_;
  mutable std::mutex mutex_;
  LogValues values_;
  std::unique_ptr<AppendFile> file_;
};

}  // namespace tenon::serving
