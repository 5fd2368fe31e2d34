// Operators whose result is the input read with other strides: out[i] = x[base + i . strides].
#include <array>

#include "kernels/cpu/movement/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

using Strides = std::array<std::int64_t, kMaxRank>;

BoundKernel bind_transpose(const StepDescription& step) {
  std::array<std::size_t, kMaxRank> order{};
  const auto perm = step.attributes->get_ints("perm");
  for (std::size_t i = 0; i < perm.size(); ++i) order[i] = positive_axis(perm[i], perm.size());
  return [order, reversed = perm.empty()](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    Strides strides{};
    row_major(x.shape, strides.data());
    Strided where;
    const std::size_t rank = x.shape.size();
    for (std::size_t i = 0; i < rank; ++i) {
      const std::size_t from = reversed ? rank - 1 - i : order[i];
      where.add_axis(x.shape[from], strides[from]);
    }
    copy_strided(call, x.data, where, call.outputs[0].data);
  };
}

BoundKernel bind_expand(const StepDescription&) {
  return [](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    copy_strided(call, x.data, Strided::broadcast(x.shape, call.outputs[0].shape),
                 call.outputs[0].data);
  };
}

// Each axis is two: the repeats, which do not advance, and the axis itself.
BoundKernel bind_tile(const StepDescription&) {
  return [](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const MutableTensorView& y = call.outputs[0];
    if (y.count() == 0) return;
    Strides strides{};
    row_major(x.shape, strides.data());
    Strided where;
    for (std::size_t i = 0; i < x.shape.size(); ++i) {
      where.add_axis(y.shape[i] / x.shape[i], 0);
      where.add_axis(x.shape[i], strides[i]);
    }
    copy_strided(call, x.data, where, y.data);
  };
}

// The number in place `at` of an optional vector of int32 or int64.
std::int64_t number_at(const Invocation& call, std::size_t input, std::int64_t at,
                       std::int64_t fallback) {
  if (!given(call, input)) return fallback;
  return index_at(call.inputs[input].dtype, call.inputs[input].data, at);
}

// Inputs: x, starts, ends, axes?, steps?. The counts are those of the result's shape.
BoundKernel bind_slice(const StepDescription&) {
  return [](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const MutableTensorView& y = call.outputs[0];
    if (y.count() == 0) return;
    Strides strides{};
    row_major(x.shape, strides.data());
    Strides steps;
    steps.fill(1);
    std::int64_t base = 0;
    const std::int64_t cuts = call.inputs[1].count();
    for (std::int64_t i = 0; i < cuts; ++i) {
      const std::size_t axis = positive_axis(number_at(call, 3, i, i), x.shape.size());
      const std::int64_t size = x.shape[axis];
      std::int64_t start = number_at(call, 1, i, 0);
      if (start < 0) start += size;
      steps[axis] = number_at(call, 4, i, 1);
      base += std::clamp<std::int64_t>(start, 0, size - 1) * strides[axis];
    }
    Strided where(base);
    for (std::size_t i = 0; i < x.shape.size(); ++i)
      where.add_axis(y.shape[i], y.shape[i] == 1 ? 0 : strides[i] * steps[i]);
    copy_strided(call, x.data, where, y.data);
  };
}

constexpr KernelRow kRows[] = {
    reference_row("Transpose", "transpose_reference", moves_input, bind_transpose),
    reference_row("Expand", "expand_reference", moves_input, bind_expand),
    reference_row("Tile", "tile_reference", moves_input, bind_tile),
    reference_row("Slice", "slice_reference", moves_input, bind_slice),
};

}  // namespace

std::span<const KernelRow> strided_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
