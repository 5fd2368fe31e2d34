// Products with AVX-512 F, BW, DQ, VL and VNNI: float, bfloat16 widened to float, int8.
#include "kernels/cpu/linear/kernels.h"
#include "kernels/cpu/linear/tile_product.h"
#include "kernels/cpu/linear/vector_avx512_int8.h"

namespace tenon::kernels::cpu::linear {
namespace {

struct Fp32 : FloatSums512 {
  using Weight = __m512;
  using Input = __m512;
  static constexpr int kMaxRows = 6;
  static constexpr int kStreams = 4;
  static Weight load_weight(const char* from) { return _mm512_load_ps(from); }
  static Input load_input(const char* from) {
    return _mm512_set1_ps(*reinterpret_cast<const float*>(from));
  }
  static Sum dot(Sum sum, Input input, Weight weight) {
    return _mm512_fmadd_ps(input, weight, sum);
  }
};

// A bfloat16 is the upper half of a float: the second of a pair stands there already.
struct Pair512 {
  __m512 first;
  __m512 second;
  static Pair512 widen(__m512i pairs) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
            _mm512_castsi512_ps(
                _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000U))))};
  }
};

struct Bf16 : FloatSums512 {
  using Weight = Pair512;
  using Input = Pair512;
  static constexpr int kMaxRows = 4;
  static constexpr int kStreams = 2;
  static Weight load_weight(const char* from) { return Pair512::widen(_mm512_load_si512(from)); }
  static Input load_input(const char* from) {
    return Pair512::widen(_mm512_set1_epi32(*reinterpret_cast<const int*>(from)));
  }
  static Sum dot(Sum sum, Input input, Weight weight) {
    return _mm512_fmadd_ps(input.second, weight.second,
                           _mm512_fmadd_ps(input.first, weight.first, sum));
  }
};

void prepare_fp32(const float* x, std::int64_t depth, std::int64_t begin, std::int64_t end,
                  const PreparedRows& out) noexcept {
  for (long row = begin; row < end; ++row) {
    auto* to = reinterpret_cast<float*>(out.data + row * out.stride);
    for (long k = 0; k < out.steps; k += 16) {
      const long count = depth - k < 0 ? 0 : depth - k;
      _mm512_store_ps(to + k, Vector512::load(x + row * depth + k, count));
    }
  }
}

}  // namespace

const ProductKernel kFp32Avx512 = {4, prepare_fp32, 1, TileProduct<Fp32>::multiply};
const ProductKernel kBf16Avx512 = {2, prepare_bf16, 1, TileProduct<Bf16>::multiply};
const ProductKernel kInt8Avx512 = {1, prepare_int8, 1, TileProduct<Int8Quads>::multiply};

}  // namespace tenon::kernels::cpu::linear
