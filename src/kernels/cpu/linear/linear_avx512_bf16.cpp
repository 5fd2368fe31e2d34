// Products of bfloat16 pairs with AVX512_BF16: vdpbf16ps, float sums.
#include "kernels/cpu/linear/kernels.h"
#include "kernels/cpu/linear/tile_product.h"
#include "kernels/cpu/linear/vector_avx512_bf16.h"

namespace tenon::kernels::cpu::linear {

const ProductKernel kBf16Avx512Bf16 = {2, prepare_bf16, 1, TileProduct<Bf16Pairs>::multiply};

}  // namespace tenon::kernels::cpu::linear
