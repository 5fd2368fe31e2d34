// Runs the steps of an engine for given sizes: shapes, places and kernels are settled once per set
// of sizes.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "engine/engine.h"
#include "session/arena.h"

namespace tenon::session {

/// Called after a step with each value that it wrote, while the value is still there.
using Observer = std::function<void(const engine::Step&, const engine::Value&, const TensorView&)>;

/// Time spent in one step over all runs since `reset_timings`.
struct StepTiming {
  const engine::Step* step = nullptr;
  std::string kernel;
  double seconds = 0;
  std::int64_t runs = 0;
};

/// Everything of a run but what it means. Keeps engine and backend alive through the caller. One
/// thread at a time. A set of sizes seen before costs nothing to come back to (the last kPlans are
/// kept).
class Executor {
 public:
  /// Executors given the same arena share it: the outputs of one last until the next run of any.
  Executor(const engine::Engine& engine, backend::Backend& backend,
           std::shared_ptr<Arena> arena = std::make_shared<Arena>());

  /// Settles sizes from the inputs' shapes; Error(bad_input) names the input, what it has and what
  /// it must have.
  void prepare(std::span<const TensorView> inputs);
  /// Of the arena, for inputs of these types and shapes; reserves nothing. Errors as of prepare.
  std::size_t required_bytes(std::span<const TensorView> inputs) const;
  /// Runs on the inputs last prepared. `batch` for engines with state. The outputs stay valid until
  /// the next prepare or run.
  void run(std::span<const TensorView> inputs, const kernels::RaggedBatch* batch = nullptr);
  TensorView output(std::size_t index) const;
  bool prepared() const { return !plans_.empty(); }
  /// Of the inputs last prepared.
  const Dim::Bindings& sizes() const { return plans_.front().sizes; }

  /// Gives the arena back when it is larger than this: outputs are gone then. The next prepare
  /// takes what it needs.
  void give_back(std::size_t most) { arena_->give_back(most); }

  void observe(Observer observer) { observer_ = std::move(observer); }
  void enable_timings(bool on) { timing_ = on; }
  void reset_timings();
  const std::vector<StepTiming>& timings() const { return timings_; }
  /// Activations and workspace of the largest sizes so far, of all who share the arena.
  std::size_t arena_bytes() const { return arena_->bytes(); }

 private:
  struct Plan {
    Dim::Bindings sizes;
    std::vector<TensorView> views;  // one a value
    std::vector<backend::Launch> launches;
    std::vector<std::size_t> steps;  // of each launch
    std::vector<std::vector<TensorView>> inputs;
    std::vector<std::vector<kernels::MutableTensorView>> outputs;
    std::vector<std::size_t> offsets;  // of each value in the arena
    std::vector<std::size_t> workspaces;
    std::size_t bytes = 0;            // of the arena
    const std::byte* base = nullptr;  // of the arena that the views point into
    bool pointed = false;
  };
  static constexpr std::size_t kPlans = 8;

  Dim::Bindings sizes_of(std::span<const TensorView> inputs) const;
  Plan make_plan(Dim::Bindings sizes) const;
  void place(Plan& plan, const std::vector<std::size_t>& workspace_bytes) const;
  void point(Plan& plan);
  std::size_t chosen_kernel(const engine::Step& step, const Plan& plan) const;
  kernels::StepDescription describe(const engine::Step& step) const;

  const engine::Engine& engine_;
  backend::Backend& backend_;
  struct Bound {
    const kernels::KernelRow* row = nullptr;
    kernels::BoundKernel run;
  };
  std::vector<std::vector<Bound>> bound_;  // per step, per choice
  std::vector<std::int32_t> roots_;        // value whose memory each value uses
  std::list<Plan> plans_;                  // most recent first
  std::shared_ptr<Arena> arena_;
  Observer observer_;
  bool timing_ = false;
  std::vector<StepTiming> timings_;
};

}  // namespace tenon::session
