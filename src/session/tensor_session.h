// Runs an engine on plain tensors by name.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "session/executor.h"

namespace tenon::session {

using TensorMap = std::map<std::string, Tensor, std::less<>>;

/// Keeps the engine alive; the backend must outlive it. One thread at a time; many sessions may
/// share an engine.
class TensorSession {
 public:
  TensorSession(std::shared_ptr<const engine::Engine> engine, backend::Backend& backend,
                std::shared_ptr<Arena> arena = std::make_shared<Arena>())
      : engine_(std::move(engine)), executor_(*engine_, backend, std::move(arena)) {}

  /// Inputs by name; Error(bad_input) names one that is missing, unknown or of the wrong type or
  /// shape.
  TensorMap run(const TensorMap& inputs);
  /// Working memory of a run on inputs of these shapes, by name; each must be there.
  std::size_t required_bytes(const std::map<std::string, Shape, std::less<>>& shapes) const;
  const engine::Engine& engine() const { return *engine_; }
  Executor& executor() { return executor_; }
  const Executor& executor() const { return executor_; }

 private:
  std::shared_ptr<const engine::Engine> engine_;
  Executor executor_;
};

}  // namespace tenon::session
