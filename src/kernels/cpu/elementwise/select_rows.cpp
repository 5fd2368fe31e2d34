// Where and Clip.
#include <limits>

#include "kernels/cpu/elementwise/formulas.h"
#include "kernels/cpu/elementwise/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

// y = condition ? a : b
template <typename Wide, typename Store>
void run_where(const Invocation& call, Store store) {
  const MutableTensorView& y = call.outputs[0];
  const auto condition = StridedOperand::broadcast(call.inputs[0], y.shape);
  const auto a = StridedOperand::broadcast(call.inputs[1], y.shape);
  const auto b = StridedOperand::broadcast(call.inputs[2], y.shape);
  parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    blocks(begin, end, [&](std::int64_t at, std::int64_t count) {
      std::int64_t chosen[kBlock];
      Wide left[kBlock];
      Wide right[kBlock];
      condition.load(at, count, chosen);
      a.load(at, count, left);
      b.load(at, count, right);
      for (std::int64_t i = 0; i < count; ++i) left[i] = chosen[i] != 0 ? left[i] : right[i];
      store(y.dtype, y.data, at, 1, count, left);
    });
  });
}

BoundKernel bind_where(const StepDescription&) {
  return [](const Invocation& call) {
    if (is_float(call.outputs[0].dtype)) return run_where<double>(call, store_real);
    run_where<std::int64_t>(call, store_integer);
  };
}

bool accepts_where(const StepDescription& step) {
  const DType a = step.inputs[1].dtype;
  const DType b = step.inputs[2].dtype;
  const DType y = step.outputs[0].dtype;
  return all_plain(step) && step.inputs[0].dtype == DType::boolean &&
         ((a == y && b == y) || (is_float(a) && is_float(b) && is_float(y)));
}

// The bound in an optional scalar input.
template <typename Wide, typename Load>
Wide bound_of(const Invocation& call, std::size_t index, Wide fallback, Load load) {
  if (call.inputs.size() <= index || call.inputs[index].data == nullptr) return fallback;
  Wide value = fallback;
  load(call.inputs[index].dtype, call.inputs[index].data, 0, 1, 1, &value);
  return value;
}

// y = min(max(x, low), high)
template <typename Wide, typename Load, typename Store>
void run_clip(const Invocation& call, Wide lowest, Wide highest, Load load, Store store) {
  const TensorView& x = call.inputs[0];
  const MutableTensorView& y = call.outputs[0];
  const Wide low = bound_of<Wide>(call, 1, lowest, load);
  const Wide high = bound_of<Wide>(call, 2, highest, load);
  parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    blocks(begin, end, [&](std::int64_t at, std::int64_t count) {
      Wide values[kBlock];
      load(x.dtype, x.data, at, 1, count, values);
      for (std::int64_t i = 0; i < count; ++i)
        values[i] = Min::apply(Max::apply(values[i], low), high);
      store(y.dtype, y.data, at, 1, count, values);
    });
  });
}

BoundKernel bind_clip(const StepDescription&) {
  return [](const Invocation& call) {
    if (is_float(call.outputs[0].dtype)) {
      constexpr double kInfinity = std::numeric_limits<double>::infinity();
      return run_clip<double>(call, -kInfinity, kInfinity, load_real, store_real);
    }
    run_clip<std::int64_t>(call, INT64_MIN, INT64_MAX, load_integer, store_integer);
  };
}

constexpr KernelRow kRows[] = {
    {.op = "Where",
     .name = "where_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_where,
     .bind = bind_where},
    {.op = "Clip",
     .name = "clip_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_numbers,
     .bind = bind_clip,
     .in_place = true},
};

}  // namespace

std::span<const KernelRow> select_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
