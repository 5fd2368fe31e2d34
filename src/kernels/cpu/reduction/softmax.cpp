// Softmax and LogSoftmax along one axis, in double: e^(x - m) / sum(e^(x - m)) with m the largest.
// A line of nothing but -inf gives zeros (LogSoftmax: -inf), as attention wants it.
#include <cmath>
#include <limits>

#include "kernels/cpu/elementwise/formulas.h"
#include "kernels/cpu/reduction/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// body(offset, values, count) for each block of the line that begins at `first`.
template <typename Body>
void each_block(const TensorView& x, const AxisView& axis, std::int64_t first, Body&& body) {
  blocks(0, axis.size, [&](std::int64_t at, std::int64_t count) {
    double values[kBlock];
    load_real(x.dtype, x.data, first + at * axis.inner, axis.inner, count, values);
    body(first + at * axis.inner, values, count);
  });
}

void softmax_line(const TensorView& x, const MutableTensorView& y, const AxisView& axis,
                  std::int64_t first, bool logarithm) {
  double largest = -kInfinity;
  each_block(x, axis, first, [&](std::int64_t, const double* values, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) largest = Max::apply(largest, values[i]);
  });
  const double shift = largest == -kInfinity ? 0 : largest;
  double sum = 0;
  each_block(x, axis, first, [&](std::int64_t, const double* values, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) sum += std::exp(values[i] - shift);
  });
  const double log_sum = std::log(sum);
  each_block(x, axis, first, [&](std::int64_t offset, double* values, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      if (sum == 0) {
        values[i] = logarithm ? -kInfinity : 0;
      } else {
        values[i] = logarithm ? values[i] - shift - log_sum : std::exp(values[i] - shift) / sum;
      }
    }
    store_real(y.dtype, y.data, offset, axis.inner, count, values);
  });
}

template <bool logarithm>
BoundKernel bind_softmax(const StepDescription& step) {
  return [along = step.attributes->get_int("axis", -1)](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const AxisView axis(x.shape, along);
    if (axis.size == 0) return;
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / 4 / axis.size);
    parallel(call, axis.lines(), grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line)
        softmax_line(x, call.outputs[0], axis, axis.first(line), logarithm);
    });
  };
}

constexpr KernelRow kRows[] = {
    {.op = "Softmax",
     .name = "softmax_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_float,
     .bind = bind_softmax<false>,
     .in_place = true},
    {.op = "LogSoftmax",
     .name = "log_softmax_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_float,
     .bind = bind_softmax<true>,
     .in_place = true},
};

}  // namespace

std::span<const KernelRow> softmax_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
