// The rows of tenon.Conv, the most specialised first.
#include "kernels/cpu/convolution/plain.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace convolution {
namespace {

constexpr KernelRow kRows[] = {
    {.op = "tenon.Conv",
     .name = "conv_channels_last_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_conv_plain,
     .bind = bind_conv_plain},
};

}  // namespace
}  // namespace convolution

std::span<const KernelRow> channels_last_convolution_rows() { return convolution::kRows; }

}  // namespace tenon::kernels::cpu
