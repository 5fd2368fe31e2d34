// The int8 form of one input row. In an unnamed namespace: files compiled for different instruction
// sets each keep a copy.
#pragma once

#include <cstdint>

namespace tenon::kernels::cpu::linear {
namespace {

/// stored = round(value * inverse) + zero, in 0 .. 255.
struct RowScale {
  float scale;
  float inverse;
  std::int32_t zero;
};

/// Asymmetric: [low, high], which contains 0, maps onto all of 0 .. 255. It costs what a fixed
/// offset of 128 would, one product with the column's sum, and halves the error of rows that lie on
/// one side of 0, as they do after an activation. 0 itself is exact. A range that is NaN or
/// infinite gives the scale NaN, and so a row of NaN.
inline RowScale row_scale(float low, float high) {
  const float scale = high / 255.0F - low / 255.0F;
  if (scale < 1e-36F) return {0.0F, 0.0F, 0};
  if (!(scale < 1e38F)) return {__builtin_nanf(""), 0.0F, 0};
  const float inverse = 1.0F / scale;
  const auto zero = static_cast<std::int32_t>(-low * inverse + 0.5F);
  return {scale, inverse, zero > 255 ? 255 : zero};
}

}  // namespace
}  // namespace tenon::kernels::cpu::linear
