// Quads of int8 in AVX-512 VNNI registers, and rows converted to them, for the files compiled for
// it, each with its own copy.
#pragma once

#include "kernels/cpu/linear/row_scale.h"
#include "kernels/cpu/linear/vector_avx512.h"

namespace tenon::kernels::cpu::linear {
namespace {

struct Int8Quads {
  using Vector = Vector512;
  using Sum = __m512i;
  using Weight = __m512i;
  using Input = __m512i;
  using Stored = std::int8_t;
  static constexpr int kMaxRows = 6;
  static constexpr int kStreams = 4;
  static constexpr int vectors(int) { return 4; }
  static Sum load_sum(const char* from) { return _mm512_load_si512(from); }
  static void store_sum(char* to, Sum sum) { _mm512_store_si512(to, sum); }
  static Weight load_weight(const char* from) { return _mm512_load_si512(from); }
  static Input load_input(const char* from) {
    return _mm512_set1_epi32(*reinterpret_cast<const int*>(from));
  }
  static Sum dot(Sum sum, Input input, Weight weight) {
    return _mm512_dpbusd_epi32(sum, input, weight);
  }
  // scale_x scale_w (sum - zero_x * sum_w)
  static __m512 result(const char* sums, const Product& product, long row, long column) {
    const __m512i offset = _mm512_mullo_epi32(_mm512_set1_epi32(product.row_zero[row]),
                                              _mm512_load_si512(product.column_sum + column));
    const __m512 exact = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_load_si512(sums), offset));
    const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(product.row_scale[row]),
                                       _mm512_load_ps(product.column_scale + column));
    return _mm512_mul_ps(exact, scale);
  }
};

// Range of a row together with 0, so that 0 is stored exactly.
struct Range {
  float low;
  float high;
};
inline Range range_of(const float* row, long depth) {
  __m512 low = _mm512_setzero_ps();
  __m512 high = _mm512_setzero_ps();
  __mmask16 nan = 0;
  for (long k = 0; k < depth; k += 16) {
    const __m512 value = Vector512::load(row + k, depth - k);
    nan |= _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    low = _mm512_min_ps(low, value);
    high = _mm512_max_ps(high, value);
  }
  if (nan != 0) return {__builtin_nanf(""), __builtin_nanf("")};
  return {_mm512_reduce_min_ps(low), _mm512_reduce_max_ps(high)};
}

inline void prepare_int8(const float* x, std::int64_t depth, std::int64_t begin, std::int64_t end,
                         const PreparedRows& out) noexcept {
  for (long row = begin; row < end; ++row) {
    const Range range = range_of(x + row * depth, depth);
    const RowScale scale = row_scale(range.low, range.high);
    out.scale[row] = scale.scale;
    out.zero[row] = scale.zero;
    const __m512 inverse = _mm512_set1_ps(scale.inverse);
    const __m512i zero = _mm512_set1_epi32(scale.zero);
    std::byte* to = out.data + row * out.stride;
    for (long k = 0; k < out.steps * 4; k += 16) {
      const long count = depth - k < 0 ? 0 : depth - k;
      const __m512i whole =
          _mm512_cvtps_epi32(_mm512_mul_ps(Vector512::load(x + row * depth + k, count), inverse));
      const __m512i shifted =
          _mm512_max_epi32(_mm512_add_epi32(whole, zero), _mm512_setzero_si512());
      _mm_store_si128(reinterpret_cast<__m128i*>(to + k), _mm512_cvtusepi32_epi8(shifted));
    }
  }
}

}  // namespace
}  // namespace tenon::kernels::cpu::linear
