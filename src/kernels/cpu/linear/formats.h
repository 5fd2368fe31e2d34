// The packed layouts of a constant matrix W [K, N]: panels of 64 columns, tail columns zero.
//   panel64_fp32: [N/64][K][64] float, K padded to 16
//   panel64_bf16: [N/64][K/2][64][2] bfloat16, K padded to 32
//   panel64_int8: [N/64][K/4][64][4] int8, K padded to 64; after all panels float scale[N] and
//                 int32 sum[N], N padded to 64: W[k, n] is about scale[n] * stored[k, n], symmetric
//                 per column, and sum[n] is the sum of stored[:, n].
// The panels have the bytes of oneDNN's BA16a64b, BA16a64b2a and BA16a64b4a.
#pragma once

#include "kernels/cpu/linear/product.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::linear {

inline constexpr std::string_view kPanel64Fp32 = "panel64_fp32";
inline constexpr std::string_view kPanel64Bf16 = "panel64_bf16";
inline constexpr std::string_view kPanel64Int8 = "panel64_int8";

/// int32 sums of K products of 0..255 by -127..127 cannot overflow up to this depth.
inline constexpr std::int64_t kMaxInt8Depth = 65536;

/// Where things lie in a packed matrix whose stored values have `value_bytes` bytes.
struct PanelLayout {
  PanelLayout(std::int64_t depth, std::int64_t columns, std::int64_t value_bytes)
      : steps((depth * value_bytes + kStepAlignment * kStepBytes - 1) /
              (kStepAlignment * kStepBytes) * kStepAlignment),
        panels((columns + kPanelColumns - 1) / kPanelColumns) {}

  std::int64_t steps;
  std::int64_t panels;
  std::int64_t panel_bytes() const { return steps * kPanelRowBytes; }
  std::int64_t scale_offset() const { return panels * panel_bytes(); }
  std::int64_t sum_offset() const { return scale_offset() + panels * kPanelRowBytes; }
};

}  // namespace tenon::kernels::cpu::linear
