// The rows of tenon.GroupScale and tenon.ScaleShift.
#include "kernels/cpu/group_norm/plain.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace group_norm {
namespace {

constexpr KernelRow kRows[] = {
    {.op = "tenon.GroupScale",
     .name = "group_scale_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_group_scale_plain,
     .bind = bind_group_scale_plain},
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
