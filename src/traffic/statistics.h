// What the records of a level say: distributions, rates, goodput, errors, steadiness.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "traffic/load.h"
#include "traffic/record.h"

namespace tenon::traffic {

/// Quantiles interpolate linearly between neighbours: at share q of n sorted values stands
/// position q (n - 1).
struct Distribution {
  std::size_t count = 0;
  double mean = 0;
  double stddev = 0;  ///< of the population
  double min = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
};

double quantile(std::span<const double> sorted, double share);
Distribution distribution_of(std::vector<double> values);

/// Limits that a good answer keeps; in milliseconds, absent: no limit.
struct Goodput {
  std::optional<double> ttft_ms;
  std::optional<double> itl_ms;  ///< of the mean time per token of a request
  std::optional<double> e2e_ms;

  bool any() const noexcept { return ttft_ms || itl_ms || e2e_ms; }
  /// A request without a first token fails a limit on it; one with a single token keeps `itl`.
  bool met_by(const Record& record) const noexcept;
};

/// `ttft:500,itl:50,e2e:5000`; Error(usage).
Goodput parse_goodput(std::string_view text);

struct Steadiness {
  bool told = false;              ///< false: too few answers in each window to tell
  bool steady = false;            ///< every window lies within the tolerance of the mean of all
  double largest = 0;             ///< largest relative departure from that mean
  std::vector<double> per_s;      ///< tokens, or answers, a second in each window
  std::vector<double> latency_s;  ///< median latency of answers that ended in it
};

struct Summary {
  std::size_t sent = 0, completed = 0, failed = 0, cancelled = 0;
  double window_s = 0;  ///< seconds that rates refer to
  double requests_per_s = 0;
  double output_tokens_per_s = 0;  ///< that arrived within the window
  double full_tokens_per_s = 0;    ///< likewise while load was full; 0: none arrived
  double prompt_tokens_per_s = 0;  ///< of answers completed within the window
  std::int64_t output_tokens = 0;  ///< of completed answers
  std::int64_t pieces = 0;         ///< likewise
  std::int64_t prompt_tokens = 0;
  std::uint64_t answer_bytes = 0;
  bool usage_told = false;  ///< every completed answer had the server's own count
  Distribution ttft, itl, tpot, e2e, tokens, prompt;  ///< seconds; tokens of one request
  double good_per_s = 0;
  double good_share = 0;  ///< of all that were sent and not cancelled
  Steadiness steadiness;
  std::map<std::string, std::size_t> errors;    ///< by kind: "status 429", "timeout" ...
  std::map<std::string, std::string> examples;  ///< one message of each kind
};

/// `window_s` > 0: the time that rates refer to; else until the last answer. Steadiness is told of
/// three windows of the time under full load with at least `kWindowAnswers` answers each.
Summary summarize(const Level& level, const Goodput& goodput, double window_s, double tolerance);
inline constexpr std::size_t kWindowAnswers = 3;

}  // namespace tenon::traffic
