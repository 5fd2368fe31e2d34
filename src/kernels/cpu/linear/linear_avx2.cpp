// Products with AVX2, FMA and F16C: float, bfloat16 widened to float, int8 widened to int16.
#include <immintrin.h>

#include "kernels/cpu/linear/kernels.h"
#include "kernels/cpu/linear/row_scale.h"
#include "kernels/cpu/linear/tile_product.h"
#include "kernels/cpu/linear/vector_avx2.h"

namespace tenon::kernels::cpu::linear {
namespace {

__m256i load_integers(const void* from) {
  return _mm256_load_si256(static_cast<const __m256i*>(from));
}
__m256i broadcast_step(const char* from) {
  return _mm256_set1_epi32(*reinterpret_cast<const int*>(from));
}

struct FloatSums256 {
  using Vector = Vector256;
  using Sum = __m256;
  static Sum load_sum(const char* from) {
    return _mm256_load_ps(reinterpret_cast<const float*>(from));
  }
  static void store_sum(char* to, Sum sum) { _mm256_store_ps(reinterpret_cast<float*>(to), sum); }
  static __m256 result(const char* sums, const Product&, long, long) { return load_sum(sums); }
};

struct Fp32 : FloatSums256 {
  using Weight = __m256;
  using Input = __m256;
  static constexpr int kMaxRows = 6;
  static constexpr int kStreams = 1;
  static constexpr int vectors(int rows) { return rows == 1 ? 8 : rows == 2 ? 4 : 2; }
  static Weight load_weight(const char* from) { return load_sum(from); }
  static Input load_input(const char* from) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(from));
  }
  static Sum dot(Sum sum, Input input, Weight weight) {
    return _mm256_fmadd_ps(input, weight, sum);
  }
};

// A bfloat16 is the upper half of a float: the second of a pair stands there already.
struct FloatPair {
  __m256 first;
  __m256 second;
  static FloatPair widen(__m256i pairs) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)),
            _mm256_castsi256_ps(
                _mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xffff0000U))))};
  }
};

struct Bf16 : FloatSums256 {
  using Weight = FloatPair;
  using Input = FloatPair;
  static constexpr int kMaxRows = 4;
  static constexpr int kStreams = 1;
  static constexpr int vectors(int rows) { return rows == 1 ? 4 : 2; }
  static Weight load_weight(const char* from) { return FloatPair::widen(load_integers(from)); }
  static Input load_input(const char* from) { return FloatPair::widen(broadcast_step(from)); }
  static Sum dot(Sum sum, Input input, Weight weight) {
    return _mm256_fmadd_ps(input.second, weight.second,
                           _mm256_fmadd_ps(input.first, weight.first, sum));
  }
};

// Even and odd bytes as int16: their products by vpmaddwd are exact, where vpmaddubsw saturates.
struct IntegerPair {
  __m256i even;
  __m256i odd;
};

struct Int8 {
  using Vector = Vector256;
  using Sum = __m256i;
  using Weight = IntegerPair;
  using Input = IntegerPair;
  static constexpr int kMaxRows = 4;
  static constexpr int kStreams = 1;
  static constexpr int vectors(int rows) { return rows == 1 ? 4 : 2; }
  static Sum load_sum(const char* from) { return load_integers(from); }
  static void store_sum(char* to, Sum sum) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to), sum);
  }
  static Weight load_weight(const char* from) {
    const __m256i bytes = load_integers(from);
    return {_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
  }
  static Input load_input(const char* from) {
    const __m256i bytes = broadcast_step(from);
    return {_mm256_and_si256(bytes, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(bytes, 8)};
  }
  static Sum dot(Sum sum, Input input, Weight weight) {
    const __m256i even = _mm256_madd_epi16(input.even, weight.even);
    const __m256i odd = _mm256_madd_epi16(input.odd, weight.odd);
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
  }
  // scale_x scale_w (sum - zero_x * sum_w)
  static __m256 result(const char* sums, const Product& product, long row, long column) {
    const __m256i offset = _mm256_mullo_epi32(_mm256_set1_epi32(product.row_zero[row]),
                                              load_integers(product.column_sum + column));
    const __m256 exact = _mm256_cvtepi32_ps(_mm256_sub_epi32(load_integers(sums), offset));
    return _mm256_mul_ps(exact, _mm256_mul_ps(_mm256_set1_ps(product.row_scale[row]),
                                              _mm256_load_ps(product.column_scale + column)));
  }
};

void prepare_fp32(const float* x, std::int64_t depth, std::int64_t begin, std::int64_t end,
                  const PreparedRows& out) noexcept {
  for (long row = begin; row < end; ++row) {
    auto* to = reinterpret_cast<float*>(out.data + row * out.stride);
    for (long k = 0; k < out.steps; k += 8) {
      const long count = depth - k < 0 ? 0 : depth - k;
      _mm256_store_ps(to + k, Vector256::load(x + row * depth + k, count));
    }
  }
}

void prepare_bf16(const float* x, std::int64_t depth, std::int64_t begin, std::int64_t end,
                  const PreparedRows& out) noexcept {
  for (long row = begin; row < end; ++row) {
    std::byte* to = out.data + row * out.stride;
    for (long k = 0; k < out.steps * 2; k += 8) {
      const long count = depth - k < 0 ? 0 : depth - k;
      _mm_store_si128(reinterpret_cast<__m128i*>(to + k * 2),
                      narrow_words(to_bf16(Vector256::load(x + row * depth + k, count))));
    }
  }
}

RowScale scale_of(const float* row, long depth) {
  __m256 low = _mm256_setzero_ps();
  __m256 high = _mm256_setzero_ps();
  __m256 nan = _mm256_setzero_ps();
  for (long k = 0; k < depth; k += 8) {
    const __m256 value = Vector256::load(row + k, depth - k);
    low = _mm256_min_ps(low, value);
    high = _mm256_max_ps(high, value);
    nan = _mm256_or_ps(nan, _mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  }
  float lows[8];
  float highs[8];
  _mm256_storeu_ps(lows, low);
  _mm256_storeu_ps(highs, high);
  for (int i = 1; i < 8; ++i) {
    if (lows[i] < lows[0]) lows[0] = lows[i];
    if (highs[i] > highs[0]) highs[0] = highs[i];
  }
  if (_mm256_movemask_ps(nan) != 0) highs[0] = __builtin_nanf("");
  return row_scale(lows[0], highs[0]);
}

void prepare_int8(const float* x, std::int64_t depth, std::int64_t begin, std::int64_t end,
                  const PreparedRows& out) noexcept {
  for (long row = begin; row < end; ++row) {
    const RowScale scale = scale_of(x + row * depth, depth);
    out.scale[row] = scale.scale;
    out.zero[row] = scale.zero;
    const __m256 inverse = _mm256_set1_ps(scale.inverse);
    const __m256i zero = _mm256_set1_epi32(scale.zero);
    std::byte* to = out.data + row * out.stride;
    for (long k = 0; k < out.steps * 4; k += 8) {
      const long count = depth - k < 0 ? 0 : depth - k;
      const __m256 scaled = _mm256_mul_ps(Vector256::load(x + row * depth + k, count), inverse);
      const __m128i words = narrow_words(_mm256_max_epi32(
          _mm256_add_epi32(_mm256_cvtps_epi32(scaled), zero), _mm256_setzero_si256()));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + k),
                       _mm_packus_epi16(_mm_min_epu16(words, _mm_set1_epi16(255)), words));
    }
  }
}

}  // namespace

const ProductKernel kFp32Avx2 = {4, prepare_fp32, 1, TileProduct<Fp32>::multiply};
const ProductKernel kBf16Avx2 = {2, prepare_bf16, 1, TileProduct<Bf16>::multiply};
const ProductKernel kInt8Avx2 = {1, prepare_int8, 1, TileProduct<Int8>::multiply};

}  // namespace tenon::kernels::cpu::linear
