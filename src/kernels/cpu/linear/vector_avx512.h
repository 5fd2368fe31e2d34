// AVX-512 registers for the files compiled for it: floats, and rows converted to the stored types.
// All in an unnamed namespace, so that each file keeps its own copy.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/linear/product.h"

namespace tenon::kernels::cpu::linear {
namespace {

struct Vector512 {
  using T = __m512;
  static constexpr long kLanes = 16;

  static __mmask16 mask(long count) {
    return static_cast<__mmask16>(count >= kLanes ? 0xffffU : (1U << count) - 1U);
  }
  static T load(const float* from, long count) { return _mm512_maskz_loadu_ps(mask(count), from); }
  static void store(float* to, long count, T value) {
    _mm512_mask_storeu_ps(to, mask(count), value);
  }
  static T set(float value) { return _mm512_set1_ps(value); }
  static T add(T a, T b) { return _mm512_add_ps(a, b); }
  static T sub(T a, T b) { return _mm512_sub_ps(a, b); }
  static T mul(T a, T b) { return _mm512_mul_ps(a, b); }
  static T div(T a, T b) { return _mm512_div_ps(a, b); }
  static T fma(T a, T b, T c) { return _mm512_fmadd_ps(a, b, c); }
  static T max(T a, T b) { return _mm512_max_ps(a, b); }
  static T min(T a, T b) { return _mm512_min_ps(a, b); }
  static T abs(T a) { return _mm512_abs_ps(a); }
  static T round(T a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static T scale(T x, T n) { return _mm512_scalef_ps(x, n); }
};

// Sums and inputs of all kernels whose accumulators are floats.
struct FloatSums512 {
  using Vector = Vector512;
  using Sum = __m512;
  static constexpr int vectors(int) { return 4; }
  static Sum load_sum(const char* from) { return _mm512_load_ps(from); }
  static void store_sum(char* to, Sum sum) { _mm512_store_ps(to, sum); }
  static __m512 result(const char* sums, const Product&, long, long) {
    return _mm512_load_ps(sums);
  }
};

// Round to nearest even in integers: without AVX512_BF16, and without flushing subnormals.
inline __m256i to_bf16(__m512 value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  const __m512i kept = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16));
}

inline void prepare_bf16(const float* x, std::int64_t depth, std::int64_t begin, std::int64_t end,
                         const PreparedRows& out) noexcept {
  for (long row = begin; row < end; ++row) {
    const float* from = x + row * depth;
    std::byte* to = out.data + row * out.stride;
    for (long k = 0; k < out.steps * 2; k += 16) {
      const long count = depth - k < 0 ? 0 : depth - k;
      _mm256_store_si256(reinterpret_cast<__m256i*>(to + k * 2),
                         to_bf16(Vector512::load(from + k, count)));
    }
  }
}

}  // namespace
}  // namespace tenon::kernels::cpu::linear
