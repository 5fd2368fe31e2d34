// MaxPool, with the places of the maxima, and GlobalMaxPool. NaN counts as the largest number; of
// equals the first is named. A window in the padding alone gives the least number and place -1.
#include <cmath>
#include <limits>

#include "kernels/cpu/pooling/rows.h"
#include "kernels/cpu/pooling/window_walk.h"
#include "kernels/cpu/reference/accepts.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

// The place in a plane counted down the columns: the first axis moves fastest.
std::int64_t column_major(const WindowPlan& plan, std::int64_t offset) {
  std::int64_t result = 0;
  std::int64_t block = plan.plane;
  for (std::size_t i = plan.rank; i-- > 0;) {
    block /= plan.axes[i].in;
    result += offset % plan.axes[i].in * block;
    offset /= plan.axes[i].in;
  }
  return result;
}

BoundKernel bind_max(const StepDescription& step) {
  return [window = PoolWindow(step),
          columns = step.attributes->get_int("storage_order", 0) != 0](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const MutableTensorView& y = call.outputs[0];
    const WindowPlan plan = window.plan(call);
    std::int64_t* indices = nullptr;
    if (call.outputs.size() > 1 && call.outputs[1].data != nullptr)
      indices = call.outputs[1].as<std::int64_t>().data();
    for_each_window(call, plan, [&](std::int64_t plane, std::int64_t i, const std::int64_t* place) {
      double best = -std::numeric_limits<double>::infinity();
      std::int64_t found = -1;
      walk_window(plan, place, 0, 0, [&](std::int64_t offset) {
        double value = 0;
        load_real(x.dtype, x.data, plane * plan.plane + offset, 1, 1, &value);
        if (found >= 0 && !(value > best) && !(std::isnan(value) && !std::isnan(best))) return;
        best = value;
        found = offset;
      });
      store_real(y.dtype, y.data, i, 1, 1, &best);
      if (indices == nullptr) return;
      if (found >= 0 && columns) found = column_major(plan, found);
      indices[i] = found < 0 ? -1 : plane * plan.plane + found;
    });
  };
}

bool accepts_max(const StepDescription& step) {
  return moves_input(step) && step.outputs[0].dtype != DType::boolean;
}

constexpr KernelRow row(std::string_view op, std::string_view name) {
  return {.op = op,
          .name = name,
          .isa = Isa::none,
          .weight_format = "",
          .accepts = accepts_max,
          .bind = bind_max};
}

constexpr KernelRow kRows[] = {
    row("MaxPool", "max_pool_reference"),
    row("GlobalMaxPool", "global_max_pool_reference"),
};

}  // namespace

std::span<const KernelRow> max_pool_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
