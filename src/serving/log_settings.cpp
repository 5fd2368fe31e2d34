#include "serving/log_settings.h"

#include <cstdio>
#include <ctime>
#include <limits>

#include "base/error.h"

namespace tenon::serving {
namespace {

template <typename T>
const T& value_of(const LogSettings::Value& value, const std::string& name, const char* what) {
  if (const T* found = std::get_if<T>(&value)) return *found;
  bad_input("expect {} for '{}'", what, name);
}

void change(LogValues& values, const std::string& name, const LogSettings::Value& given) {
  if (name == "log_file") {
    values.file = value_of<std::string>(given, name, "string");
    if (!values.file.empty()) AppendFile::check_name(values.file, name);
  } else if (name == "log_info") {
    values.info = value_of<bool>(given, name, "boolean");
  } else if (name == "log_warning") {
    values.warning = value_of<bool>(given, name, "boolean");
  } else if (name == "log_error") {
    values.error = value_of<bool>(given, name, "boolean");
  } else if (name == "log_verbose_level") {
    const std::int64_t level = value_of<std::int64_t>(given, name, "unsigned integer");
    if (level < 0 || level > std::numeric_limits<std::uint32_t>::max())
      bad_input("log_verbose_level is {}: 0 to 2^32 - 1 were expected", level);
    values.verbose_level = static_cast<std::uint32_t>(level);
  } else if (name == "log_format") {
    values.format = value_of<std::string>(given, name, "string");
    if (values.format != "default" && values.format != "ISO8601")
      bad_input("invalid log_format: '{}', default or ISO8601 were expected",
                values.format.substr(0, 60));
  } else {
    bad_input(
        "'{}' is no log setting: log_file, log_info, log_warning, log_error, log_verbose_level and "
        "log_format can be changed",
        name.substr(0, 60));
  }
}

const char* name_of(log::Level level) {
  switch (level) {
    case log::Level::debug:
      return "debug";
    case log::Level::info:
      return "info";
    case log::Level::warn:
      return "warning";
    default:
      return "error";
  }
}

Json time_as(const std::string& format) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  if (format != "ISO8601") return static_cast<double>(us) / 1e6;
  const std::time_t seconds = us / 1000000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:06}Z", text, us % 1000000);
}

}  // namespace

LogSettings::LogSettings(LogValues start, std::filesystem::path folder)
    : folder_(std::move(folder)), values_(std::move(start)) {
  if (!folder_.empty() && !std::filesystem::is_directory(folder_))
    bad_input("{}: is no folder", folder_.string());
}

LogValues LogSettings::values() const {
  const std::lock_guard lock(mutex_);
  return values_;
}

LogSettings::Changes LogSettings::written() const {
  const LogValues now = values();
  return {{"log_file", now.file},
          {"log_info", now.info},
          {"log_warning", now.warning},
          {"log_error", now.error},
          {"log_verbose_level", static_cast<std::int64_t>(now.verbose_level)},
          {"log_format", now.format}};
}

void LogSettings::update(const Changes& changes) {
  const std::lock_guard lock(mutex_);
  LogValues wanted = values_;
  for (const auto& [name, value] : changes) change(wanted, name, value);
  if (wanted.file != values_.file) {
    if (folder_.empty())
      fail(ErrorCode::usage,
           "log_file cannot be changed: the server was given no folder for it; start it with "
           "--trace-dir FOLDER");
    file_ = wanted.file.empty() ? nullptr : std::make_unique<AppendFile>(folder_, wanted.file);
  }
  values_ = std::move(wanted);
}

bool LogSettings::tells(log::Level level) const {
  switch (level) {
    case log::Level::debug:
      return values_.verbose_level > 0;
    case log::Level::info:
      return values_.info;
    case log::Level::warn:
      return values_.warning;
    case log::Level::error:
      return values_.error;
    case log::Level::off:
      return false;
  }
  return true;
}

void LogSettings::message(log::Level level, std::string_view text) noexcept {
  try {
    line(level, {{"level", name_of(level)}, {"message", text}});
  } catch (const std::exception&) {  // memory ran out: there is nobody to tell
  }
}

void LogSettings::line(log::Level level, Json fields) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (!tells(level)) return;
    fields["time"] = time_as(values_.format);
    put(json_text(fields) + "\n");
  } catch (const std::exception&) {
  }
}

void LogSettings::put(const std::string& text) {
  if (file_ != nullptr && file_->add(text)) return;
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace tenon::serving
