// The seam between the bound activations and the code of one instruction set: runs of float32.
// Plain data and no inline functions: files of every instruction set include this.
#pragma once

#include <cstdint>

namespace tenon::kernels::cpu::activation {

/// x and y may be the same memory. Errors, in units of the last place (ulp) of the true value:
/// - swish: 4 ulp for alpha = 1; alpha x is rounded, so add |alpha x| ulp for others. Where
///   exp(-|alpha x|) is subnormal, 2^-142 besides.
/// - gelu: 8 ulp, tails included; 2^-142 besides where the result nears the subnormals.
/// - gelu_tanh: 4 + 4 |u| ulp, u being the argument of tanh, since u is rounded; 2^-142 besides.
/// NaN gives NaN, -inf gives NaN (-inf * 0) and +inf gives +inf, as the formulas do.
struct ActivationRuns {
  void (*gelu)(const float* x, float* y, std::int64_t count);
  void (*gelu_tanh)(const float* x, float* y, std::int64_t count);
  void (*swish)(const float* x, float alpha, float* y, std::int64_t count);
  /// y = silu(gate) * up: the error of swish and one rounding.
  void (*swiglu)(const float* gate, const float* up, float* y, std::int64_t count);
  /// y = gelu(gate) * up: the error of gelu and one rounding.
  void (*geglu)(const float* gate, const float* up, float* y, std::int64_t count);
};

namespace avx2 {
extern const ActivationRuns kRuns;
}
namespace avx512 {
extern const ActivationRuns kRuns;
}

}  // namespace tenon::kernels::cpu::activation
