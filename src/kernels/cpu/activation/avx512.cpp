// Activations in AVX-512.
#include <immintrin.h>

#include "kernels/cpu/activation/runs.h"

namespace tenon::kernels::cpu::activation {
namespace {

struct Vectors {
  using Reg = __m512;
  static constexpr int kLanes = 16;

  static Reg set(float x) { return _mm512_set1_ps(x); }
  static Reg read(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Reg x) { _mm512_storeu_ps(p, x); }
  static Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static Reg subtract(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
  static Reg multiply(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static Reg divide(Reg a, Reg b) { return _mm512_div_ps(a, b); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static Reg min(Reg a, Reg b) { return _mm512_min_ps(a, b); }
  static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  static Reg absolute(Reg a) { return _mm512_abs_ps(a); }
  static Reg negate(Reg a) { return _mm512_xor_ps(a, set(-0.0F)); }
  static Reg round(Reg a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Reg scale(Reg p, Reg n) { return _mm512_scalef_ps(p, n); }
  /// `yes` where the sign of `a` is set.
  static Reg select_negative(Reg a, Reg yes, Reg no) {
    return _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(a)), no, yes);
  }
};

}  // namespace

namespace avx512 {
const ActivationRuns kRuns = Functions<Vectors>::kRuns;
}

}  // namespace tenon::kernels::cpu::activation
