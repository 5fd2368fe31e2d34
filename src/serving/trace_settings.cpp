#include "serving/trace_settings.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/error.h"
#include "base/log.h"

namespace tenon::serving {
namespace {

constexpr const char* kDefaultFile = "traces.jsonl";

template <typename T>
T number(const std::vector<std::string>& given, const char* name, T low) {
  if (given.size() != 1) bad_input("{}: one value was expected, {} came", name, given.size());
  const std::string& text = given.front();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size())
    bad_input("Unable to parse '{}', got: {}", name, text.substr(0, 60));
  constexpr std::int64_t kHigh = std::numeric_limits<T>::max();
  if (error != std::errc() || value < low || value > kHigh)
    bad_input("Unable to parse '{}', value is out of range [ {}, {} ], got: {}", name, low, kHigh,
              text.substr(0, 60));
  return static_cast<T>(value);
}

bool level_of(const std::vector<std::string>& levels) {
  bool timestamps = false;
  for (const std::string& level : levels) {
    if (level == "OFF") {
      if (levels.size() != 1) bad_input("Expect only one trace level 'OFF' is specified");
    } else if (level == "TIMESTAMPS") {
      timestamps = true;
    } else {
      bad_input("trace_level is '{}': OFF or TIMESTAMPS were expected{}", level.substr(0, 60),
                level == "TENSORS" ? "; tensors are not traced here" : "");
    }
  }
  return timestamps;
}

std::string file_of(const std::vector<std::string>& given) {
  if (given.size() != 1) bad_input("trace_file: one value was expected, {} came", given.size());
  AppendFile::check_name(given.front(), "trace_file");
  return given.front();
}

// `base` gives what a change takes back.
void change(TraceValues& values, const std::string& name,
            const std::optional<std::vector<std::string>>& given, const TraceValues& base) {
  if (name == "trace_level") {
    values.timestamps = given ? level_of(*given) : base.timestamps;
  } else if (name == "trace_rate") {
    values.rate = given ? number<std::uint32_t>(*given, "trace_rate", 1) : base.rate;
  } else if (name == "trace_count") {
    values.count = given ? number<std::int32_t>(*given, "trace_count", -1) : base.count;
  } else if (name == "log_frequency") {
    values.log_frequency =
        given ? number<std::uint32_t>(*given, "log_frequency", 0) : base.log_frequency;
  } else if (name == "trace_file") {
    values.file = given ? file_of(*given) : base.file;
  } else {
    bad_input(
        "'{}' is no trace setting: trace_level, trace_rate, trace_count, log_frequency and "
        "trace_file can be changed",
        name.substr(0, 60));
  }
}

}  // namespace

TraceSettings::TraceSettings(std::filesystem::path folder) : folder_(std::move(folder)) {
  if (folder_.empty()) return;
  if (!std::filesystem::is_directory(folder_)) bad_input("{}: is no folder", folder_.string());
  all_.values.file = kDefaultFile;
}

const TraceSettings::Scope& TraceSettings::scope_of(const std::string& model) const {
  const auto found = models_.find(model);
  return found == models_.end() ? all_ : found->second;
}

TraceSettings::Written TraceSettings::written(const std::string& model) const {
  const std::lock_guard lock(mutex_);
  const TraceValues& values = scope_of(model).values;
  return {{"trace_level", {values.timestamps ? "TIMESTAMPS" : "OFF"}},
          {"trace_rate", {std::to_string(values.rate)}},
          {"trace_count", {std::to_string(values.count)}},
          {"log_frequency", {std::to_string(values.log_frequency)}},
          {"trace_file", {values.file}},
          {"trace_mode", {"opentelemetry"}}};
}

void TraceSettings::update(const std::string& model, const Changes& changes) {
  if (folder_.empty())
    fail(ErrorCode::usage, "this server traces nothing: start it with --trace-dir FOLDER");
  const std::lock_guard lock(mutex_);
  if (!model.empty() && changes.empty()) {
    models_.erase(model);
    settle();
    return;
  }
  TraceValues start;
  start.file = kDefaultFile;
  TraceValues values = scope_of(model).values;
  for (const auto& [name, given] : changes)
    change(values, name, given, model.empty() ? start : all_.values);
  Scope& scope = model.empty() ? all_ : models_[model];
  if (scope.values.file != values.file || scope.values.log_frequency != values.log_frequency) {
    scope.traced = 0;  // the files are counted from 0 again
    scope.file.reset();
  }
  scope.values = std::move(values);
  settle();
}

void TraceSettings::settle() {
  active_ = all_.values.timestamps ||
            std::any_of(models_.begin(), models_.end(),
                        [](const auto& one) { return one.second.values.timestamps; });
}

bool TraceSettings::take(Scope& scope, bool sampled) {
  TraceValues& values = scope.values;
  if (!values.timestamps || values.count == 0) return false;
  if (++scope.seen % values.rate != 0 && !sampled) return false;
  if (values.count > 0) --values.count;
  return true;
}

void TraceSettings::write(Scope& scope, const TracedRequest& request) {
  const TraceValues& values = scope.values;
  std::string name = values.file;
  if (values.log_frequency > 0)
    name = fmt::format("{}.{}", values.file, scope.traced / values.log_frequency);
  if (scope.file == nullptr || scope.open_name != name) {
    scope.file = std::make_unique<AppendFile>(folder_, name);
    scope.open_name = name;
  }
  if (!scope.file->add(otlp_line(request)))
    fail(ErrorCode::resource, "the file '{}' takes no more", name);
  ++scope.traced;
}

void TraceSettings::record(const TracedRequest& request) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    const auto found = models_.find(request.model);
    Scope& scope = found == models_.end() ? all_ : found->second;
    if (take(scope, request.context.sampled)) write(scope, request);
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(told_, true)) log::warn("a trace was not written: {}", error.what());
  }
}

}  // namespace tenon::serving
