// Where the weights are among the values of a training checkpoint.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "checkpoint/pickle.h"

namespace tenon::checkpoint {

using NamedTensors = std::vector<std::pair<std::string, const PickleValue*>>;

/// The tensors of the state dict with their names. `root` is the state dict itself, or a dict that
/// holds one, such as {"state_dict": {...}, "epoch": 3}. Dicts inside the state dict add their key
/// and a dot to the names. Error(bad_input) when there is none, or when several could be meant.
NamedTensors find_state_dict(const PickleValue& root);

}  // namespace tenon::checkpoint
