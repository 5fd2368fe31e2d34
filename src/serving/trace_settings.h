// Which requests are traced, under Triton's names for the settings, and the file that their spans
// are written to as lines of OTLP/JSON.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "serving/append_file.h"
#include "serving/model_stats.h"
#include "serving/trace_context.h"

namespace tenon::serving {

/// A request that has ended, as its protocol measured it.
struct TracedRequest {
  TraceContext context;
  std::string request_id;
  std::string model;
  std::string version;
  Outcome outcome = Outcome::success;
  std::chrono::steady_clock::time_point begin;
  Phases phases;  ///< in this order: input, queue, infer, output
  std::optional<std::chrono::steady_clock::time_point> first_token;  ///< of a text
  std::int64_t prompt_tokens = 0;
  std::int64_t tokens = 0;
};

/// As they stand: of one model, or of all that have no settings of their own.
struct TraceValues {
  bool timestamps = false;          ///< trace_level: TIMESTAMPS, else OFF
  std::uint32_t rate = 1000;        ///< one of so many requests
  std::int32_t count = -1;          ///< traces that are still to be written; -1: no end
  std::uint32_t log_frequency = 0;  ///< traces in one file (file.0, file.1, ...); 0: one file
  std::string file;
};

/// Any number of threads.
class TraceSettings {
 public:
  /// Values as texts; nothing stands for "as the server has it" (of a model) or "as at the start".
  using Changes = std::map<std::string, std::optional<std::vector<std::string>>, std::less<>>;
  using Written = std::map<std::string, std::vector<std::string>, std::less<>>;

  /// Without a folder nothing is traced. Error(bad_input) when it is none.
  explicit TraceSettings(std::filesystem::path folder = {});

  /// `model` may be empty for the server's own. trace_level, trace_rate, trace_count,
  /// log_frequency, trace_file, trace_mode: as Triton writes them.
  Written written(const std::string& model = {}) const;
  /// All of them or, with an Error, none: Error(bad_input) for a name or value that is none,
  /// Error(usage) when the server was given no folder. No changes at all take a model's own
  /// settings away.
  void update(const std::string& model, const Changes& changes);

  /// Whether any request may be traced now.
  bool active() const { return active_; }
  /// Writes the spans when it is the turn of this request, or when the client samples its trace.
  /// Never throws: what cannot be written is told once in the log.
  void record(const TracedRequest& request) noexcept;

 private:
  struct Scope {
    TraceValues values;
    std::uint64_t seen = 0;
    std::uint64_t traced = 0;
    std::unique_ptr<AppendFile> file;
    std::string open_name;
  };
  const Scope& scope_of(const std::string& model) const;
  void settle();
  bool take(Scope& scope, bool sampled);
  void write(Scope& scope, const TracedRequest& request);

  std::filesystem::path folder_;
  mutable std::mutex mutex_;
  Scope all_;
  std::map<std::string, Scope, std::less<>> models_;
  bool told_ = false;
  std::atomic<bool> active_{false};
};

/// One line: an ExportTraceServiceRequest with the request's span and those of its phases.
std::string otlp_line(const TracedRequest& request);

}  // namespace tenon::serving
