// The rows of tenon.GroupScale and tenon.ScaleShift.
#include "kernels/cpu/group_norm/bind.h"
#include "kernels/cpu/group_norm/plain.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace group_norm {
namespace {

template <const GroupKernels& kKernels>
constexpr KernelRow group_scale_row(std::string_view name, Isa isa) {
  return {.op = "tenon.GroupScale",
          .name = name,
          .isa = isa,
          .weight_format = "",
          .accepts = accepts_f32_group_scale,
          .bind = [](const StepDescription& step) { return bind_group_scale(step, kKernels); },
          .workspace = group_scale_workspace};
}

template <const GroupKernels& kKernels>
constexpr KernelRow scale_shift_row(std::string_view name, Isa isa) {
  return {.op = "tenon.ScaleShift",
          .name = name,
          .isa = isa,
          .weight_format = "",
          .accepts = accepts_f32_scale_shift,
          .bind = [](const StepDescription& step) { return bind_scale_shift(step, kKernels); },
          .in_place = true};
}

constexpr KernelRow kRows[] = {
    group_scale_row<avx512::kKernels>("group_scale_f32_avx512", Isa::avx512),
    group_scale_row<avx2::kKernels>("group_scale_f32_avx2", Isa::avx2),
    {.op = "tenon.GroupScale",
     .name = "group_scale_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_group_scale_plain,
     .bind = bind_group_scale_plain},
    scale_shift_row<avx512::kKernels>("scale_shift_f32_avx512", Isa::avx512),
    scale_shift_row<avx2::kKernels>("scale_shift_f32_avx2", Isa::avx2),
    {.op = "tenon.ScaleShift",
     .name = "scale_shift_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_scale_shift_plain,
     .bind = bind_scale_shift_plain,
     .in_place = true},
};

}  // namespace
}  // namespace group_norm

std::span<const KernelRow> group_norm_rows() { return group_norm::kRows; }

}  // namespace tenon::kernels::cpu
