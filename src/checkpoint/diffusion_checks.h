// Whether the networks of a picture model belong together, as far as their configurations tell.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/diffusion.h"

namespace tenon::checkpoint {

/// Error(bad_input) names two parts, their fields and values that contradict each other. Returns
/// what is only suspicious, in whole sentences.
std::vector<std::string> check_parts(const DiffusionCheckpoint& checkpoint);

}  // namespace tenon::checkpoint
