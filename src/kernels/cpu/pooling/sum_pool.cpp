// Pools that sum what a window covers, in float64: the mean (AveragePool) or the p-norm (LpPool),
// and their global forms.
#include <cmath>

#include "kernels/cpu/pooling/rows.h"
#include "kernels/cpu/pooling/window_walk.h"
#include "kernels/cpu/reference/accepts.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

double element(const TensorView& view, std::int64_t index) {
  double value = 0;
  load_real(view.dtype, view.data, index, 1, 1, &value);
  return value;
}

// Taps of the window that lie in x, or also in the padding that the attributes gave; what ceil_mode
// adds beyond that never counts.
double covered(const WindowPlan& plan, const std::int64_t* place, bool with_padding) {
  double count = 1;
  for (std::size_t i = 0; i < plan.rank; ++i) {
    const WindowAxis& axis = plan.axes[i];
    const std::int64_t low = with_padding ? -axis.begin : 0;
    const std::int64_t high = with_padding ? axis.in + axis.end : axis.in;
    std::int64_t taps = 0;
    for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
      const std::int64_t source = axis.source(place[i], tap);
      taps += source >= low && source < high ? 1 : 0;
    }
    count *= static_cast<double>(taps);
  }
  return count;
}

BoundKernel bind_average(const StepDescription& step) {
  return [window = PoolWindow(step),
          padding = step.attributes->get_int("count_include_pad", 0) != 0](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const MutableTensorView& y = call.outputs[0];
    const WindowPlan plan = window.plan(call);
    for_each_window(call, plan, [&](std::int64_t plane, std::int64_t i, const std::int64_t* place) {
      double sum = 0;
      walk_window(plan, place, 0, 0,
                  [&](std::int64_t offset) { sum += element(x, plane * plan.plane + offset); });
      sum /= covered(plan, place, padding);
      store_real(y.dtype, y.data, i, 1, 1, &sum);
    });
  };
}

// (sum of |x|^p)^(1/p)
BoundKernel bind_norm(const StepDescription& step) {
  return [window = PoolWindow(step),
          p = static_cast<double>(step.attributes->get_int("p", 2))](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const MutableTensorView& y = call.outputs[0];
    const WindowPlan plan = window.plan(call);
    for_each_window(call, plan, [&](std::int64_t plane, std::int64_t i, const std::int64_t* place) {
      double sum = 0;
      walk_window(plan, place, 0, 0, [&](std::int64_t offset) {
        const double value = std::fabs(element(x, plane * plan.plane + offset));
        sum += p == 1 ? value : p == 2 ? value * value : std::pow(value, p);
      });
      sum = p == 1 ? sum : p == 2 ? std::sqrt(sum) : std::pow(sum, 1 / p);
      store_real(y.dtype, y.data, i, 1, 1, &sum);
    });
  };
}

constexpr KernelRow row(std::string_view op, std::string_view name,
                        BoundKernel (*bind)(const StepDescription&)) {
  return {.op = op,
          .name = name,
          .isa = Isa::none,
          .weight_format = "",
          .accepts = all_float,
          .bind = bind};
}

constexpr KernelRow kRows[] = {
    row("AveragePool", "average_pool_reference", bind_average),
    row("GlobalAveragePool", "global_average_pool_reference", bind_average),
    row("LpPool", "lp_pool_reference", bind_norm),
    row("GlobalLpPool", "global_lp_pool_reference", bind_norm),
};

}  // namespace

std::span<const KernelRow> sum_pool_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
