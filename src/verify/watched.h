// What a trace needs of a side: an engine that can be run again on the same inputs and watched.
#pragma once

#include <functional>

#include "engine/engine.h"
#include "session/executor.h"

namespace tenon::verify {

/// Borrows the engine and all that `run` refers to.
struct Watched {
  const engine::Engine& engine;
  /// One run with the observer, which is gone afterwards, also when the run fails.
  std::function<void(session::Observer)> run;
};

}  // namespace tenon::verify
