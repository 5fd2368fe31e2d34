// Whether the rows of an engine's inputs are requests of their own.
#pragma once

#include <string>

#include "engine/engine.h"

namespace tenon::serving {

/// Empty when every input and output has the same free first dimension, no other dimension depends
/// on it, and no step sums, sorts or compares along it, as far as its shapes and axes tell: then
/// requests may be joined and parted along it. Else why not, for the user.
std::string why_not_batchable(const engine::Engine& engine);

}  // namespace tenon::serving
