// CumSum: y[i] = x[0] + ... + x[i] along one axis; without x[i] when exclusive, from the end when
// reversed.
#include "kernels/cpu/elementwise/formulas.h"
#include "kernels/cpu/reduction/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

struct Scan {
  bool exclusive;
  bool reverse;
};

template <typename Wide, typename Load, typename Store>
void scan_line(const Invocation& call, const AxisView& axis, std::int64_t first, Scan scan,
               Load load, Store store) {
  const TensorView& x = call.inputs[0];
  const MutableTensorView& y = call.outputs[0];
  Wide sum = 0;
  for (std::int64_t i = 0; i < axis.size; ++i) {
    const std::int64_t offset = first + (scan.reverse ? axis.size - 1 - i : i) * axis.inner;
    Wide value = 0;
    load(x.dtype, x.data, offset, 1, 1, &value);
    const Wide next = Add::apply(sum, value);
    store(y.dtype, y.data, offset, 1, 1, scan.exclusive ? &sum : &next);
    sum = next;
  }
}

BoundKernel bind_cumsum(const StepDescription& step) {
  const Scan scan{step.attributes->get_int("exclusive", 0) != 0,
                  step.attributes->get_int("reverse", 0) != 0};
  return [scan](const Invocation& call) {
    const TensorView& along = call.inputs[1];
    const AxisView axis(call.inputs[0].shape, index_at(along.dtype, along.data, 0));
    const bool real = is_float(call.outputs[0].dtype);
    const std::int64_t grain =
        std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, axis.size));
    parallel(call, axis.lines(), grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line) {
        const std::int64_t first = axis.first(line);
        if (real) {
          scan_line<double>(call, axis, first, scan, load_real, store_real);
        } else {
          scan_line<std::int64_t>(call, axis, first, scan, load_integer, store_integer);
        }
      }
    });
  };
}

constexpr KernelRow kRows[] = {
    {.op = "CumSum",
     .name = "cumsum_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = moves_input,
     .bind = bind_cumsum,
     .in_place = true},
};

}  // namespace

std::span<const KernelRow> scan_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
