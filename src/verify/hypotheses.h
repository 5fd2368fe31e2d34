// Why a value departs: named hypotheses, tried in order, the first that holds is the reason.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "verify/experiments.h"
#include "verify/report.h"
#include "verify/tensor_experiments.h"

namespace tenon::verify {

struct Evidence {
  const engine::Engine& b;
  const engine::Engine* a = nullptr;          ///< null when the truth is a recording
  const ValueError* error = nullptr;          ///< the value that departs; null: none does by itself
  const engine::Step* step = nullptr;         ///< of B, that wrote it; may be null
  const Experiments* experiments = nullptr;   ///< null when they were not run
  const Truth* truth = nullptr;               ///< set with experiments
  const TensorExperiment* tensors = nullptr;  ///< one that explains B's outputs; null: none does
};

struct Hypothesis {
  std::string_view name;
  std::string_view what;  ///< one line for reports
  /// The reason in words, when it holds.
  std::optional<std::string> (*holds)(const Evidence& evidence);
};

/// In the order in which they are tried; the last one always holds.
std::span<const Hypothesis> hypotheses();

struct Reason {
  std::string cause;
  std::string text;
};
Reason explain(const Evidence& evidence);

/// The value with its reason.
Departure departure_of(const ValueError& error, const Evidence& evidence);

}  // namespace tenon::verify
