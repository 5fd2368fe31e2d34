// Sums of channels and scaled pixels in AVX2.
#include "kernels/cpu/group_norm/channels.h"
#include "kernels/cpu/linear/vector_avx2.h"

namespace tenon::kernels::cpu::group_norm::avx2 {

const GroupKernels kKernels = Channels<linear::Vector256>::kKernels;

}  // namespace tenon::kernels::cpu::group_norm::avx2
