// Attention tiles in AVX-512: a vector is one page's 16 tokens (keys) or 16 elements (values).
#include <immintrin.h>

#include "kernels/cpu/attention/tile_loop.h"
#include "kernels/cpu/attention/vectors512.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct FloatCache : Vectors512 {
  using Raw = __m512;
  using Operand = __m512;
  static constexpr int kStep = 1;
  static constexpr int kElementBytes = 4;
  static constexpr int kOperandBytes = 4;

  static Raw load(const std::byte* p) { return _mm512_loadu_ps(p); }
  static Raw load_first(const std::byte* p) { return load(p); }
  static Operand broadcast(const std::byte* p) {
    return _mm512_set1_ps(*reinterpret_cast<const float*>(p));
  }
  static Reg madd(Reg sum, Raw raw, Operand operand) { return _mm512_fmadd_ps(raw, operand, sum); }
  static void narrow(float*) {}
};

/// Pairs of bfloat16, widened by shift and mask: exact.
struct BFloatCache : Vectors512 {
  struct Pair {
    __m512 first, second;
  };
  using Raw = Pair;
  using Operand = Pair;
  static constexpr int kStep = 2;
  static constexpr int kElementBytes = 2;
  static constexpr int kOperandBytes = 8;

  static Raw load(const std::byte* p) {
    const __m512i words = _mm512_loadu_si512(p);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(words, 16)),
            _mm512_castsi512_ps(
                _mm512_and_si512(words, _mm512_set1_epi32(static_cast<int>(0xffff0000U))))};
  }
  static Raw load_first(const std::byte* p) { return {load(p).first, zero()}; }
  static Operand broadcast(const std::byte* p) {
    const auto* pair = reinterpret_cast<const float*>(p);
    return {_mm512_set1_ps(pair[0]), _mm512_set1_ps(pair[1])};
  }
  static Reg madd(Reg sum, Raw raw, Operand operand) {
    return _mm512_fmadd_ps(raw.second, operand.second,
                           _mm512_fmadd_ps(raw.first, operand.first, sum));
  }
  static void narrow(float*) {}
};

}  // namespace

namespace avx512 {
const TileKernel kFloatTile = {TileLoop<FloatCache>::attend, 1, false};
const TileKernel kBFloatTile = {TileLoop<BFloatCache>::attend, 2, false};
}  // namespace avx512

}  // namespace tenon::kernels::cpu::attention
