// What tenon.GroupScale and tenon.ScaleShift ask for, read from their descriptions.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/cpu/linear/operands.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::group_norm {

/// Places of the inputs of tenon.GroupScale.
inline constexpr std::size_t kX = 0;
inline constexpr std::size_t kGamma = 1;
inline constexpr std::size_t kBeta = 2;
inline constexpr std::size_t kX2 = 3;

/// x [N, ..., channels] and x2 [N, ..., channels2] side by side, in `groups` groups of neighbouring
/// channels (a group may span both).
struct GroupSpec {
  std::int64_t channels = 0;
  std::int64_t channels2 = 0;  ///< 0 when x2 is absent
  std::int64_t groups = 1;
  double epsilon = 1e-5;

  std::int64_t all_channels() const { return channels + channels2; }
};

/// nullopt when the step is no well-formed tenon.GroupScale with known channels.
std::optional<GroupSpec> parse_group_scale(const StepDescription& step);

struct ScaleShiftSpec {
  std::int64_t channels = 0;
  linear::Activation activation = linear::Activation::none;
};
std::optional<ScaleShiftSpec> parse_scale_shift(const StepDescription& step);

}  // namespace tenon::kernels::cpu::group_norm
