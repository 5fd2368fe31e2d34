// Activations in AVX2.
#include <immintrin.h>

#include "kernels/cpu/activation/runs.h"

namespace tenon::kernels::cpu::activation {
namespace {

struct Vectors {
  using Reg = __m256;
  static constexpr int kLanes = 8;

  static Reg set(float x) { return _mm256_set1_ps(x); }
  static Reg read(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Reg x) { _mm256_storeu_ps(p, x); }
  static Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static Reg subtract(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
  static Reg multiply(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static Reg divide(Reg a, Reg b) { return _mm256_div_ps(a, b); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static Reg min(Reg a, Reg b) { return _mm256_min_ps(a, b); }
  static Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  static Reg absolute(Reg a) { return _mm256_andnot_ps(set(-0.0F), a); }
  static Reg negate(Reg a) { return _mm256_xor_ps(a, set(-0.0F)); }
  static Reg round(Reg a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /// In two halves, since 2^n itself may lie below the normal numbers; the second product rounds.
  static Reg scale(Reg p, Reg n) {
    const __m256i whole = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    return multiply(multiply(p, power(half)), power(_mm256_sub_epi32(whole, half)));
  }
  static Reg power(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }
  /// `yes` where the sign of `a` is set.
  static Reg select_negative(Reg a, Reg yes, Reg no) { return _mm256_blendv_ps(no, yes, a); }
};

}  // namespace

namespace avx2 {
const ActivationRuns kRuns = Functions<Vectors>::kRuns;
}

}  // namespace tenon::kernels::cpu::activation
