// Cast and CastLike: the element type of the output. A float becomes an integer towards zero,
// saturated, NaN as 0; integers keep their low bits; anything but 0 is true.
#include "kernels/cpu/elementwise/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

BoundKernel bind_cast(const StepDescription&) {
  return [](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const MutableTensorView& y = call.outputs[0];
    parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      blocks(begin, end, [&](std::int64_t at, std::int64_t count) {
        if (is_float(x.dtype)) {
          double values[kBlock];
          load_real(x.dtype, x.data, at, 1, count, values);
          store_real(y.dtype, y.data, at, 1, count, values);
        } else {
          std::int64_t values[kBlock];
          load_integer(x.dtype, x.data, at, 1, count, values);
          store_integer(y.dtype, y.data, at, 1, count, values);
        }
      });
    });
  };
}

constexpr KernelRow kRows[] = {
    {.op = "Cast",
     .name = "cast_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_plain,
     .bind = bind_cast},
    {.op = "CastLike",
     .name = "cast_like_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_plain,
     .bind = bind_cast},
};

}  // namespace

std::span<const KernelRow> cast_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
