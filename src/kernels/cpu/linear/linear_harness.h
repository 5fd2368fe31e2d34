// What the tests of this folder share: random values, rows and formats by name.
#pragma once

#include <random>

#include "base/error.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels {

inline constexpr float kFp32Half = 0x1p-24F;  // half a unit in the last place, relative
inline constexpr float kBf16Half = 0x1p-8F;   // likewise; 8 bits of precision

inline std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

inline const KernelRow& row_named(std::string_view name) {
  for (const KernelRow& row : cpu::linear_rows()) {
    if (row.name == name) return row;
  }
  fail(ErrorCode::internal, "no row {}", name);
}

/// nullptr for "".
inline const PackedFormat* format_named(std::string_view name) {
  for (const PackedFormat& format : cpu::linear_formats()) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

}  // namespace tenon::kernels
