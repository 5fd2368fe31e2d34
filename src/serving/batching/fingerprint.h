// A name for what an engine computes.
#pragma once

#include <string>

#include "engine/engine.h"

namespace tenon::serving {

/// "fp_" and 16 hexadecimal digits: of the steps with their kernels, the values of the constants,
/// and `contract`. Reads the constants whose sum is not known yet.
std::string fingerprint(const engine::Engine& engine, std::string_view contract);

}  // namespace tenon::serving
