// What `tenon bench` measures: subjects that take turns, each a model of text or of pictures.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/clock.h"
#include "command.h"
#include "machine_limits.h"
#include "model.h"
#include "session/executor.h"

namespace tenon::apps {

using BenchClock = std::chrono::steady_clock;

struct BenchOptions {
  std::vector<std::string> sources;
  std::string precision = "bf16";
  std::int64_t prompt_tokens = 128;
  std::int64_t new_tokens = 64;
  std::int64_t batch = 1;
  std::int64_t width = 0;  ///< of pictures, in pixels; 0: what the model was trained at
  std::int64_t height = 0;
  int repeat = 5;
  bool steps = false;
};

/// Times of one thing, round by round.
struct Series {
  std::vector<double> values;
  double quantile(double share) const;
  double median() const { return quantile(0.5); }
  Json json() const;
};

/// One thing measured, beside what the machine allows.
struct BenchLine {
  std::string what;   ///< "prefill", "unet step"
  std::string speed;  ///< with its unit
  double share = 0;   ///< of the machine's limit; 0: none is known
};

class BenchSubject {
 public:
  virtual ~BenchSubject() = default;
  /// Runs everything once; the times count or only warm up.
  virtual void round(bool counted) = 0;
  virtual Json json(const MachineLimits& limits) const = 0;
  virtual std::vector<BenchLine> lines(const MachineLimits& limits) const = 0;
  /// The executors whose steps `print_steps` tells, by part.
  virtual std::vector<std::pair<std::string, session::Executor*>> executors() = 0;

  double load_s = 0;
  std::uint64_t resident_bytes = 0;
};

std::unique_ptr<BenchSubject> bench_text(Model model, const BenchOptions& options,
                                         backend::Backend& backend);
std::unique_ptr<BenchSubject> bench_pictures(Model model, const BenchOptions& options,
                                             backend::Backend& backend);

}  // namespace tenon::apps
