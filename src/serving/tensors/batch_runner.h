// Several requests of plain tensors as one run of an engine: joined, computed, parted.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "session/tensor_session.h"

namespace tenon::serving {

/// Times of the last run.
struct RunTimes {
  std::chrono::nanoseconds input{0}, infer{0}, output{0};
};

/// One instance of a model. One thread at a time.
class BatchRunner {
 public:
  virtual ~BatchRunner() = default;
  /// One map of outputs a request, in order. The requests agree in all but the first dimension,
  /// which is that of the rows; a single one may be anything. Throws what the model throws.
  virtual std::vector<session::TensorMap> run(
      std::span<const session::TensorMap* const> requests) = 0;
  /// There is nothing to do for the time being: what a large run has left may go.
  virtual void rest() {}
  RunTimes times() const { return times_; }

 protected:
  RunTimes times_;
};

/// Runs on a pool of threads of its own, the caller among them.
class EngineRunner final : public BatchRunner {
 public:
  EngineRunner(std::shared_ptr<const engine::Engine> engine, int threads)
      : backend_(threads), engine_(std::move(engine)), executor_(*engine_, backend_) {}

  std::vector<session::TensorMap> run(std::span<const session::TensorMap* const> requests) override;
  void rest() override;

 private:
  TensorView joined(std::size_t input, const std::string& name,
                    std::span<const session::TensorMap* const> requests);

  backend::CpuBackend backend_;
  std::shared_ptr<const engine::Engine> engine_;
  session::Executor executor_;
  std::map<std::size_t, Tensor> staged_;  // joined inputs
};

}  // namespace tenon::serving
