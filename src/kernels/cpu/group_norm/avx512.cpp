// Sums of channels and scaled pixels in AVX-512.
#include "kernels/cpu/group_norm/channels.h"
#include "kernels/cpu/linear/vector_avx512.h"

namespace tenon::kernels::cpu::group_norm::avx512 {

const GroupKernels kKernels = Channels<linear::Vector512>::kKernels;

}  // namespace tenon::kernels::cpu::group_norm::avx512
