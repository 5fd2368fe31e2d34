// Experiments on a checkpoint: what if one thing in it were otherwise?
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "engine/engine.h"
#include "models/model.h"

namespace tenon::verify {

/// One thing changed. Either function may be empty.
struct Edit {
  std::string cause;  ///< "rotary-layout", "rope-theta" ...
  std::string found;  ///< what is wrong when the edit makes the answers right
  std::string advice;
  std::function<void(Json& config)> config;
  /// Gives the weight of that name as it should be, from those that there are.
  std::function<SourcePtr(const models::Weights& weights, const std::string& name,
                          const Shape& shape)>
      weight;
};

/// Mistakes that are made in practice and that this config could hold, the likeliest first.
std::vector<Edit> plausible_edits(const Json& config);

/// The reference engine of the checkpoint with the edit; only the first `layers` layers when that
/// is more than 0. Error(bad_input) when no model can be built that way.
std::shared_ptr<const engine::Engine> rebuild(const checkpoint::Checkpoint& source,
                                              const Edit& edit, std::int64_t layers);

}  // namespace tenon::verify
