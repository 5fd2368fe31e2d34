// Products of bfloat16 pairs with AVX512_BF16: vdpbf16ps, float sums.
#include "kernels/cpu/linear/kernels.h"
#include "kernels/cpu/linear/tile_product.h"
#include "kernels/cpu/linear/vector_avx512.h"

namespace tenon::kernels::cpu {
namespace {

struct Bf16Pairs : FloatSums512 {
  using Weight = __m512i;
  using Input = __m512i;
  static constexpr int kMaxRows = 6;
  static Weight load_weight(const char* from) { return _mm512_load_si512(from); }
  static Input load_input(const char* from) {
    return _mm512_set1_epi32(*reinterpret_cast<const int*>(from));
  }
  static Sum dot(Sum sum, Input input, Weight weight) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(input),
                            reinterpret_cast<__m512bh>(weight));
  }
};

}  // namespace

const ProductKernel kBf16Avx512Bf16 = {2, prepare_bf16, TileProduct<Bf16Pairs>::multiply};

}  // namespace tenon::kernels::cpu
