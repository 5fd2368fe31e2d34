// Measures whether a checkpoint, with or without an edit, gives the right answers.
#pragma once

#include <optional>
#include <vector>

#include "verify/model_edits.h"
#include "verify/subject.h"

namespace tenon::verify {

/// What is right for one prompt.
struct Truth {
  std::vector<std::int32_t> ids;
  Tensor logits;            ///< float32 [tokens, vocabulary]
  std::int64_t layer = -1;  ///< the first layer whose output departs, -1 when that is not known
  Tensor hidden;            ///< what that layer should give on, float32, when `layer` >= 0
  double tolerance = 0;     ///< relative error that counts as agreement
};

/// Float32 outputs of the layers, in order; empty when the engine's layers are not recognised.
std::vector<Tensor> layer_values(Subject& subject, std::span<const std::int32_t> ids);

/// An edit with the engine that it makes and how far that is from the truth.
struct Experiment {
  Edit edit;
  std::shared_ptr<const engine::Engine> engine;  ///< cut off after `truth.layer`, if that is known
  double error = 0;  ///< relative, of the layer's output or of the logits
};

/// Error(bad_input) when the model cannot be built.
Experiment try_edit(const checkpoint::Checkpoint& source, Edit edit, const Truth& truth,
                    backend::Backend& backend);

struct Experiments {
  double unedited = 0;  ///< error of the checkpoint as it is
  bool sound = false;   ///< that is within the tolerance: the checkpoint is not at fault
  std::int64_t tried = 0;
  std::optional<Experiment> best;  ///< set when one edit makes the answers right
};

/// Runs the checkpoint as it is, then every plausible edit until one is right: error at most a
/// tenth of the unedited one, and at most 2 %.
Experiments run_experiments(const checkpoint::Checkpoint& source, const Truth& truth,
                            backend::Backend& backend);

}  // namespace tenon::verify
