// What an engine is built for.
#pragma once

#include <set>
#include <string>

#include "base/cpu_features.h"

namespace tenon {

/// Weights of the large products: what a build may spend in exactness. Norms, softmax, rotary and
/// all sums are float32 or wider under every policy.
enum class Precision { fp32, bf16, int8 };

std::string precision_name(Precision precision);
/// Error(usage) names the ones there are.
Precision parse_precision(const std::string& name);

struct Target {
  Isa isa = Isa::none;
  Precision precision = Precision::fp32;
  bool reference =
      false;  ///< no rewrites, reference kernels, float64 sums: what others are compared with
  bool keep_state = true;  ///< turn past/present into a cache inside the engine
  std::set<std::string, std::less<>> skip_passes;

  static Target native(Precision precision);
  static Target reference_run();
};

}  // namespace tenon
