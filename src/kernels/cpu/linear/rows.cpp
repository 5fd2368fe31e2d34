// The rows of this family, the most specialised first.
#include "kernels/cpu/linear/formats.h"
#include "kernels/cpu/linear/kernels.h"
#include "kernels/cpu/linear/packed.h"
#include "kernels/cpu/linear/reference.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu::linear {
namespace {

template <const ProductKernel& kKernel, const std::string_view& kFormat>
constexpr KernelRow packed_row(std::string_view name, Isa isa) {
  return {
      .op = "tenon.Linear",
      .name = name,
      .isa = isa,
      .weight_format = kFormat,
      .accepts = [](const StepDescription& step) { return accepts_packed(step, kFormat); },
      .bind = [](const StepDescription& step) { return bind_packed(step, kKernel); },
      .workspace = [](const StepDescription& step, std::span<const Shape> inputs,
                      int threads) { return packed_workspace(step, inputs, threads, kKernel); }};
}

constexpr KernelRow kRows[] = {
    packed_row<kBf16Amx, kPanel64Bf16>("linear_bf16_amx", Isa::amx_bf16),
    packed_row<kInt8Amx, kPanel64Int8>("linear_int8_amx", Isa::amx_bf16),
    packed_row<kBf16Avx512Bf16, kPanel64Bf16>("linear_bf16_avx512_bf16", Isa::avx512_bf16),
    packed_row<kInt8Avx512, kPanel64Int8>("linear_int8_avx512", Isa::avx512),
    packed_row<kBf16Avx512, kPanel64Bf16>("linear_bf16_avx512", Isa::avx512),
    packed_row<kFp32Avx512, kPanel64Fp32>("linear_fp32_avx512", Isa::avx512),
    packed_row<kInt8Avx2, kPanel64Int8>("linear_int8_avx2", Isa::avx2),
    packed_row<kBf16Avx2, kPanel64Bf16>("linear_bf16_avx2", Isa::avx2),
    packed_row<kFp32Avx2, kPanel64Fp32>("linear_fp32_avx2", Isa::avx2),
    {.op = "tenon.Linear",
     .name = "linear_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_linear_reference,
     .bind = bind_linear_reference},
    {.op = "MatMul",
     .name = "matmul_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_matmul_reference,
     .bind = bind_matmul_reference},
    {.op = "Gemm",
     .name = "gemm_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_gemm_reference,
     .bind = bind_gemm_reference},
};

}  // namespace
}  // namespace tenon::kernels::cpu::linear

namespace tenon::kernels::cpu {

std::span<const KernelRow> linear_rows() { return linear::kRows; }

}  // namespace tenon::kernels::cpu
