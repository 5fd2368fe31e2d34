// Attention tiles in AVX2: a vector is half a page's tokens (keys) or 8 elements (values).
#include <immintrin.h>

#include "kernels/cpu/attention/tile_loop.h"
#include "kernels/cpu/attention/vectors256.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct FloatCache : Vectors256 {
  using Raw = __m256;
  using Operand = __m256;
  static constexpr int kStep = 1;
  static constexpr int kElementBytes = 4;
  static constexpr int kOperandBytes = 4;

  static Raw load(const std::byte* p) { return read(reinterpret_cast<const float*>(p)); }
  static Raw load_first(const std::byte* p) { return load(p); }
  static Operand broadcast(const std::byte* p) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(p));
  }
  static Reg madd(Reg sum, Raw raw, Operand operand) { return _mm256_fmadd_ps(raw, operand, sum); }
  static void narrow(float*) {}
};

/// Pairs of bfloat16, widened by shift and mask: exact.
struct BFloatCache : Vectors256 {
  struct Pair {
    __m256 first, second;
  };
  using Raw = Pair;
  using Operand = Pair;
  static constexpr int kStep = 2;
  static constexpr int kElementBytes = 2;
  static constexpr int kOperandBytes = 8;

  static Raw load(const std::byte* p) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(words, 16)),
            _mm256_castsi256_ps(
                _mm256_and_si256(words, _mm256_set1_epi32(static_cast<int>(0xffff0000U))))};
  }
  static Raw load_first(const std::byte* p) { return {load(p).first, zero()}; }
  static Operand broadcast(const std::byte* p) {
    const auto* pair = reinterpret_cast<const float*>(p);
    return {_mm256_broadcast_ss(pair), _mm256_broadcast_ss(pair + 1)};
  }
  static Reg madd(Reg sum, Raw raw, Operand operand) {
    return _mm256_fmadd_ps(raw.second, operand.second,
                           _mm256_fmadd_ps(raw.first, operand.first, sum));
  }
  static void narrow(float*) {}
};

}  // namespace

namespace avx2 {
const TileKernel kFloatTile = {TileLoop<FloatCache>::attend, 1, false};
const TileKernel kBFloatTile = {TileLoop<BFloatCache>::attend, 2, false};
}  // namespace avx2

}  // namespace tenon::kernels::cpu::attention
