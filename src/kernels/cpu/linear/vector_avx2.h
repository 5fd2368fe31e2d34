// AVX2 registers for the files compiled for it: floats, and conversions to the stored types. All in
// an unnamed namespace, so that each file keeps its own copy.
#pragma once

#include <immintrin.h>

namespace tenon::kernels::cpu::linear {
namespace {

struct Vector256 {
  using T = __m256;
  static constexpr long kLanes = 8;

  static __m256i mask(long count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count > 8 ? 8 : static_cast<int>(count)), lane);
  }
  static T load(const float* from, long count) {
    return count >= kLanes ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, mask(count));
  }
  static void store(float* to, long count, T value) {
    if (count >= kLanes) {
      _mm256_storeu_ps(to, value);
    } else {
      _mm256_maskstore_ps(to, mask(count), value);
    }
  }
  static T set(float value) { return _mm256_set1_ps(value); }
  static T add(T a, T b) { return _mm256_add_ps(a, b); }
  static T sub(T a, T b) { return _mm256_sub_ps(a, b); }
  static T mul(T a, T b) { return _mm256_mul_ps(a, b); }
  static T div(T a, T b) { return _mm256_div_ps(a, b); }
  static T fma(T a, T b, T c) { return _mm256_fmadd_ps(a, b, c); }
  static T max(T a, T b) { return _mm256_max_ps(a, b); }
  static T min(T a, T b) { return _mm256_min_ps(a, b); }
  static T abs(T a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
  static T round(T a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static T scale(T x, T n) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)));
  }
};

// Round to nearest even; NaN stays NaN. The halves of the result are in lanes 0-7 as int32.
inline __m256i to_bf16(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
}

// Eight int32 of 0 .. 65535 as uint16.
inline __m128i narrow_words(__m256i words) {
  return _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

}  // namespace
}  // namespace tenon::kernels::cpu::linear
