// Experiments on an engine's inputs and outputs: which one mistake of its maker or its caller
// explains what it gives?
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>

#include "verify/tensor_subject.h"

namespace tenon::verify {

/// One thing changed around B that makes its outputs right.
struct TensorExperiment {
  std::string cause;   ///< "swapped-inputs", "layout", "latent-scale", "timestep" ...
  std::string found;   ///< what is wrong
  std::string advice;  ///< what to do
  double before = 0;   ///< relative error of all outputs, as they are
  double after = 0;    ///< with the change: at most 2 %, and a tenth of `before`; `before` itself
                       ///< for "ignored-input", which no change of the inputs can mend
};

/// Swaps inputs of equal shape, turns pictures from one layout to the other, scales latents, moves
/// timesteps, reverses colours and changes the range of pictures, one at a time; last, looks for an
/// input that has no effect. `wanted` is what is right for `inputs`; `pairs` are names of its
/// outputs and B's.
std::optional<TensorExperiment> run_tensor_experiments(
    TensorSubject& b, const session::TensorMap& inputs, const session::TensorMap& wanted,
    std::span<const std::pair<std::string, std::string>> pairs);

/// A value inside A that is what B gives: the wrong layer was taken.
std::optional<TensorExperiment> find_other_output(
    const Watched& a, const session::TensorMap& wanted, const session::TensorMap& found,
    std::span<const std::pair<std::string, std::string>> pairs);

}  // namespace tenon::verify
