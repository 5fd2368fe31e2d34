// What a comparison found, as plain data, and its two forms for others: JSON and a page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "verify/budget.h"
#include "verify/metrics.h"

namespace tenon::verify {

/// One value of B beside what it should be.
struct ValueError {
  std::string value;   ///< by its name in the source model
  std::string module;  ///< of the source model, e.g. model.layers.3.self_attn
  std::string op;
  std::string dtype;     ///< that the step computes in: of its weights where it has some
  double relative = 0;   ///< |a - b| / |a|, Euclidean
  double peak = 0;       ///< largest |a - b| / (|a| + root of mean square of a)
  double explained = 0;  ///< relative error that the inputs' errors and rounding explain
  double max_abs = 0;    ///< largest finite magnitude in B
  double max_abs_a = 0;  ///< likewise in A
  double max_difference = 0;
  std::int64_t where = 0;  ///< flat index of the largest difference, or of the first NaN or
                           ///< infinity that A does not have
  std::vector<std::int64_t> shape;  ///< of B
  std::int64_t elements = 0;
  std::int64_t not_finite = 0;   ///< elements of B that are NaN or infinite where A has a number
  std::int64_t nan_in_both = 0;  ///< elements that are NaN on both sides
};

/// The first value, in execution order, that departs further than its inputs explain.
struct Departure {
  std::string value;
  std::string module;
  std::string op;
  std::string dtype;
  double max_abs = 0;         ///< largest finite magnitude in B
  double max_difference = 0;  ///< infinite when B has a NaN or infinity
  double relative = 0;
  double allowed = 0;               ///< relative error that would have been explained
  std::vector<std::int64_t> where;  ///< coordinates of the largest difference in the value
  std::string cause;   ///< name of the hypothesis that held: "rotary-layout", "unknown" ...
  std::string reason;  ///< for people, with what to do
};

/// One output of two engines on plain tensors, over all runs.
struct OutputError {
  std::string output;
  std::vector<std::int64_t> shape;  ///< of the first run
  std::int64_t elements = 0;        ///< of all runs
  double max_abs = 0;               ///< largest |a - b|
  double mean_abs = 0;
  double relative = 0;         ///< |a - b| / |a|, Euclidean
  std::optional<double> psnr;  ///< decibels, of pictures ([n, 3, h, w] in -1 to 1); infinite: equal
  bool finite = true;          ///< of B; A's own NaN and infinities count as well
  std::int64_t worst_run = 0;
};

struct Report {
  bool passed = false;
  std::string part;  ///< of a model of several engines; empty for a model that is one
  std::string name_a;
  std::string name_b;
  std::string precision_a;
  std::string precision_b;
  Metrics metrics;
  Budget budget;
  std::vector<std::string> violations;  ///< one sentence for each broken limit
  std::vector<PromptMetrics> prompts;
  std::vector<OutputError> outputs;  ///< of engines on plain tensors; then there are no prompts
  std::vector<std::string> runs;     ///< what each of their runs was given, in words
  std::vector<float> kl_series;      ///< of every position, prompts one after the other
  Histogram histogram{};             ///< of |a - b| of all logits
  std::optional<Departure> first_departure;  ///< only when the check failed
  std::vector<ValueError> values;  ///< in execution order of B; empty when they were not compared
  std::int64_t traced_prompt = -1;
  std::int64_t traced_tokens = 0;
  std::vector<std::string> notes;  ///< what was shortened, left out or tried
  double seconds_a = 0;            ///< running A; 0 for a recording
  double seconds_b = 0;
  double seconds_diagnosis = 0;
  /// Of a model of several engines, the worst first. Then `metrics` and `first_departure` are the
  /// first one's, and prompts, outputs and values stand there only.
  std::vector<Report> parts;
};

/// {"passed", "parts": [...] for a model of several engines, else "outputs" of plain tensors or
/// "prompts", "metrics": {...}, "first_departure": {"value", "module", "op", "dtype", "max_abs",
/// "reason", ...} | null, "budget", "violations", "prompts", "values", "notes", "timings", ...}.
/// Numbers that are not finite are null.
Json to_json(const Report& report);
/// A self-contained page: verdict, metrics against the budget, plots, prompts and values.
std::string to_html(const Report& report);

}  // namespace tenon::verify
