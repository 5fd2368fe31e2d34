// Float arithmetic of 256-bit vectors for the attention loops; for the AVX2 files alone, each with
// its own copy.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/attention/tile_loop.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct Vectors256 {
  using Reg = __m256;
  static constexpr int kLanes = 8;
  // Eight sums at most beside the operands in sixteen registers.
  static constexpr int kPages(int rows) { return rows >= 3 ? 1 : rows == 2 ? 2 : 4; }
  static constexpr int kVectors(int rows) { return rows >= 3 ? 2 : 4; }

  static Reg zero() { return _mm256_setzero_ps(); }
  static Reg set(float x) { return _mm256_set1_ps(x); }
  static Reg read(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Reg x) { _mm256_storeu_ps(p, x); }
  static Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static Reg subtract(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
  static Reg multiply(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  static float first(Reg a) { return _mm256_cvtss_f32(a); }
  static float total(Reg a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
  }
  static float highest(Reg a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
  }

  /// Lanes from `count` on become -inf.
  static Reg keep_first(Reg a, std::int64_t count) {
    const int bound = count < 0 ? 0 : count > kLanes ? kLanes : static_cast<int>(count);
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i keep = _mm256_cmpgt_epi32(_mm256_set1_epi32(bound), lane);
    return _mm256_blendv_ps(set(kLowest), a, _mm256_castsi256_ps(keep));
  }

  /// 2^x for x <= 0: relative error below 2^-23; zero below 2^-126; NaN stays.
  static Reg power_of_two(Reg x) {
    const Reg keep = _mm256_cmp_ps(x, set(-126.0F), _CMP_NLT_UQ);
    const Reg whole = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Reg rest = _mm256_sub_ps(x, whole);
    Reg p = set(0.000153458079F);
    p = _mm256_fmadd_ps(p, rest, set(0.00133999316F));
    p = _mm256_fmadd_ps(p, rest, set(0.00961848898F));
    p = _mm256_fmadd_ps(p, rest, set(0.0555032878F));
    p = _mm256_fmadd_ps(p, rest, set(0.240226469F));
    p = _mm256_fmadd_ps(p, rest, set(0.693147206F));
    p = _mm256_fmadd_ps(p, rest, set(1.0F));
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    const Reg power = _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
    return _mm256_and_ps(keep, _mm256_mul_ps(p, power));
  }
};

}  // namespace
}  // namespace tenon::kernels::cpu::attention
