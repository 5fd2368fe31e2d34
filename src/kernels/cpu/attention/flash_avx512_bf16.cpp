// tenon.Attention with the bfloat16 dot product.
#include "kernels/cpu/attention/flash_vectors512_bf16.h"

namespace tenon::kernels::cpu::attention::avx512_bf16 {

const FlashKernel kPairFlash = FlashLoop<PairWords512>::kernel(24);

}  // namespace tenon::kernels::cpu::attention::avx512_bf16
