// Attention tiles with the bfloat16 dot product: queries and weights are rounded to bfloat16 too
// (relative 2^-9 an element), sums and the softmax stay float32.
#include <immintrin.h>

#include "kernels/cpu/attention/tile_loop.h"
#include "kernels/cpu/attention/vectors512.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct DotCache : Vectors512 {
  using Raw = __m512bh;
  using Operand = __m512bh;
  static constexpr int kStep = 2;
  static constexpr int kElementBytes = 2;
  static constexpr int kOperandBytes = 4;

  static Raw load(const std::byte* p) { return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p)); }
  static Raw load_first(const std::byte* p) {
    return reinterpret_cast<__m512bh>(
        _mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(0xffff)));
  }
  static Operand broadcast(const std::byte* p) {
    return reinterpret_cast<__m512bh>(_mm512_set1_epi32(*reinterpret_cast<const int*>(p)));
  }
  static Reg madd(Reg sum, Raw raw, Operand operand) { return _mm512_dpbf16_ps(sum, raw, operand); }
  static void narrow(float* row) {
    for (int v = 0; v < kBlockTokens; v += 32) {
      const __m512bh halves = _mm512_cvtne2ps_pbh(read(row + v + 16), read(row + v));
      store(row + v / 2, reinterpret_cast<__m512>(halves));
    }
  }
};

}  // namespace

namespace avx512_bf16 {
const TileKernel kBFloatTile = {TileLoop<DotCache>::attend, 2, true};
}  // namespace avx512_bf16

}  // namespace tenon::kernels::cpu::attention
