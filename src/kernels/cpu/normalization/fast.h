// The seam between the bound normalizations and the code of one instruction set: rows of float32.
// Plain data and no inline functions: files of every instruction set include this.
#pragma once

#include <cstdint>

namespace tenon::kernels::cpu::normalization {

/// One row of `length` elements. Everything between the loads and the store of y is double: each
/// element is within 0.51 units of the last place of the formula's value, plus 2^-52 of its largest
/// term where terms cancel. x and y may be the same memory.
struct NormRow {
  const float* x;
  const float* scale;
  const float* bias;  ///< may be nullptr
  float* y;
  std::int64_t length;
  double epsilon;
};

struct NormRows {
  void (*rms)(const NormRow&);
  void (*layer)(const NormRow&);
};

namespace avx2 {
extern const NormRows kRows;
}
namespace avx512 {
extern const NormRows kRows;
}

}  // namespace tenon::kernels::cpu::normalization
