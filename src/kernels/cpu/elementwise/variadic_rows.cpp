// Min, Max and Sum of any number of inputs: y = f(f(x0, x1), x2) ... in one wide pass, rounded
// once.
#include "kernels/cpu/elementwise/binary.h"
#include "kernels/cpu/elementwise/formulas.h"
#include "kernels/cpu/elementwise/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

template <typename Op, typename Wide, typename Store>
void run(const Invocation& call, Store store) {
  const MutableTensorView& y = call.outputs[0];
  parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    blocks(begin, end, [&](std::int64_t at, std::int64_t count) {
      Wide sum[kBlock];
      Wide next[kBlock];
      StridedOperand::broadcast(call.inputs[0], y.shape).load(at, count, sum);
      for (const TensorView& input : call.inputs.subspan(1)) {
        StridedOperand::broadcast(input, y.shape).load(at, count, next);
        for (std::int64_t i = 0; i < count; ++i) sum[i] = Op::apply(sum[i], next[i]);
      }
      store(y.dtype, y.data, at, 1, count, sum);
    });
  });
}

template <typename Op>
BoundKernel bind(const StepDescription&) {
  return [](const Invocation& call) {
    if (is_float(call.outputs[0].dtype)) return run<Op, double>(call, store_real);
    run<Op, std::int64_t>(call, store_integer);
  };
}

constexpr KernelRow kRows[] = {
    {.op = "Min",
     .name = "min_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_numbers,
     .bind = bind<Min>},
    {.op = "Max",
     .name = "max_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_numbers,
     .bind = bind<Max>},
    {.op = "Sum",
     .name = "sum_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_numbers,
     .bind = bind<Add>},
};

}  // namespace

std::span<const KernelRow> variadic_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
