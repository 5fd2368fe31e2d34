// The rows of tenon.Conv, the most specialised first.
#include "kernels/cpu/convolution/implicit.h"
#include "kernels/cpu/convolution/plain.h"
#include "kernels/cpu/linear/formats.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace convolution {
namespace {

constexpr std::string_view kPlain;

template <const ConvKernel& kKernel, const std::string_view& kFormat, bool kDepthwise = false>
constexpr KernelRow implicit_row(std::string_view name, Isa isa) {
  return {
      .op = "tenon.Conv",
      .name = name,
      .isa = isa,
      .weight_format = kFormat,
      .accepts =
          [](const StepDescription& step) { return accepts_implicit(step, kFormat, kDepthwise); },
      .bind = [](const StepDescription& step) { return bind_implicit(step, kKernel); },
      .workspace = [](const StepDescription& step, std::span<const Shape> inputs,
                      int threads) { return implicit_workspace(step, inputs, threads, kKernel); }};
}

using linear::kPanel64Bf16;
using linear::kPanel64Fp32;
using linear::kPanel64Int8;

constexpr KernelRow kRows[] = {
    implicit_row<avx512::kDepthwise, kPlain, true>("conv_depthwise_fp32_avx512", Isa::avx512),
    implicit_row<avx2::kDepthwise, kPlain, true>("conv_depthwise_fp32_avx2", Isa::avx2),
    implicit_row<avx512::kBf16Amx, kPanel64Bf16>("conv_bf16_amx", Isa::amx_bf16),
    implicit_row<avx512::kInt8Amx, kPanel64Int8>("conv_int8_amx", Isa::amx_bf16),
    implicit_row<avx512::kBf16Pairs, kPanel64Bf16>("conv_bf16_avx512_bf16", Isa::avx512_bf16),
    implicit_row<avx512::kInt8, kPanel64Int8>("conv_int8_avx512", Isa::avx512),
    implicit_row<avx512::kBf16, kPanel64Bf16>("conv_bf16_avx512", Isa::avx512),
    implicit_row<avx512::kFp32, kPanel64Fp32>("conv_fp32_avx512", Isa::avx512),
    implicit_row<avx2::kInt8, kPanel64Int8>("conv_int8_avx2", Isa::avx2),
    implicit_row<avx2::kBf16, kPanel64Bf16>("conv_bf16_avx2", Isa::avx2),
    implicit_row<avx2::kFp32, kPanel64Fp32>("conv_fp32_avx2", Isa::avx2),
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
