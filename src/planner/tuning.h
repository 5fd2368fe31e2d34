// The choice among kernels by measured time.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "engine/engine.h"
#include "kernels/kernel.h"
#include "tensor/dim.h"

namespace tenon::planner {

/// One step with all sizes known.
struct Trial {
  kernels::StepDescription step;
  std::vector<Shape> inputs;
  std::vector<Shape> outputs;

  /// Rows as engine::Choice counts them.
  std::int64_t rows() const;
};

/// Seconds that one run of the row takes; 0 or less: it cannot be told.
using Stopwatch = std::function<double(const kernels::KernelRow&, const Trial&)>;

/// Runs the row on operands of its own, three times at most, and gives the shortest time.
double measure(const kernels::KernelRow& row, const Trial& trial, ThreadPool& pool);

/// Picks kernels for the sizes that a build is tuned for. One thread at a time.
class Tuner {
 public:
  /// `profiles`: sets of sizes, each naming every symbol. `cache`: a file of timings taken on this
  /// machine with as many threads before, read now and written by `save`; may be empty. A damaged
  /// one is begun anew.
  Tuner(std::vector<Dim::Bindings> profiles, int threads, Stopwatch stopwatch,
        std::filesystem::path cache = {});

  /// For each profile the fastest of `candidates` (most specialised first; a later one must win by
  /// kMargin), as choices by rows. Without a profile that fits the step, the first candidate.
  std::vector<engine::Choice> choose(const kernels::StepDescription& step,
                                     std::span<const DimShape> inputs,
                                     std::span<const DimShape> outputs,
                                     std::span<const kernels::KernelRow* const> candidates);
  void save() const;
  /// Timings taken now, not found in the cache.
  int measured() const { return measured_; }

  /// Timings of one kernel differ by so much from run to run.
  static constexpr double kMargin = 0.05;

 private:
  double seconds(const kernels::KernelRow& row, const Trial& trial);

  std::vector<Dim::Bindings> profiles_;
  std::string machine_;  ///< what timings are compared on
  Stopwatch stopwatch_;
  std::filesystem::path cache_;
  std::map<std::string, double> timings_;
  int measured_ = 0;
};

/// The file of timings of this user; empty when there is no home for it.
std::filesystem::path timing_cache();

}  // namespace tenon::planner
