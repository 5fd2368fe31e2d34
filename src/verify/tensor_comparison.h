// The comparison of two engines on plain tensors, or of one with recorded outputs.
#pragma once

#include <filesystem>
#include <span>

#include "verify/comparison.h"
#include "verify/tensor_subject.h"

namespace tenon::verify {

/// Inputs of one run, with what they are in words for the report.
struct TensorRun {
  std::string what;
  session::TensorMap inputs;
};

/// Runs both on every set of inputs. A is taken for right. Outputs are compared by name (by order
/// where no name is alike), each in its own metrics; a failure is traced on the worst run, and
/// mistakes of exporters and callers are tried on B. Error(usage) without inputs or for a budget of
/// logits; Error(bad_input) when inputs or outputs do not fit each other.
Report compare_tensors(TensorSubject& a, TensorSubject& b, std::span<const TensorRun> runs,
                       const Budget& budget, const Options& options = {});

/// Against a recording: a .npz of arrays "in:NAME" and "out:NAME", or simply named as inputs and
/// outputs. `reference`: another engine of the same model, against which values are compared when
/// it agrees with the recording; may be null. Error(bad_input) names what is missing.
Report compare_tensors_with_recording(TensorSubject& b, const std::filesystem::path& npz,
                                      const Budget& budget, const Options& options = {},
                                      TensorSubject* reference = nullptr);

}  // namespace tenon::verify
