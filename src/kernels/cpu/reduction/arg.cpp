// ArgMax, ArgMin and TopK. NaN counts as the largest number; of equals the lower index comes first.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cpu/reduction/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

// Elements of a line, compared exactly whatever their type is.
class Line {
 public:
  Line(const TensorView& x, const AxisView& axis, std::int64_t line)
      : x_(x), first_(axis.first(line)), stride_(axis.inner), real_(is_float(x.dtype)) {}

  std::int64_t offset(std::int64_t index) const { return first_ + index * stride_; }
  bool less(std::int64_t a, std::int64_t b) const {
    if (!real_) return integer(a) < integer(b);
    const double left = real(a);
    const double right = real(b);
    return std::isnan(right) ? !std::isnan(left) : left < right;
  }

 private:
  double real(std::int64_t index) const {
    double value = 0;
    load_real(x_.dtype, x_.data, offset(index), 1, 1, &value);
    return value;
  }
  std::int64_t integer(std::int64_t index) const {
    std::int64_t value = 0;
    load_integer(x_.dtype, x_.data, offset(index), 1, 1, &value);
    return value;
  }

  const TensorView& x_;
  std::int64_t first_;
  std::int64_t stride_;
  bool real_;
};

std::int64_t line_grain(const AxisView& axis) {
  return std::max<std::int64_t>(1, kGrain / 4 / std::max<std::int64_t>(1, axis.size));
}

template <bool largest>
BoundKernel bind_arg(const StepDescription& step) {
  return [along = step.attributes->get_int("axis", 0),
          last = step.attributes->get_int("select_last_index", 0) != 0](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const AxisView axis(x.shape, along);
    std::int64_t* y = call.outputs[0].as<std::int64_t>().data();
    parallel(call, axis.lines(), line_grain(axis), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Line line(x, axis, i);
        std::int64_t best = 0;
        for (std::int64_t k = 1; k < axis.size; ++k) {
          const bool better = largest ? line.less(best, k) : line.less(k, best);
          const bool worse = largest ? line.less(k, best) : line.less(best, k);
          if (better || (last && !worse)) best = k;
        }
        y[i] = best;
      }
    });
  };
}

// Workspace: the indices of one line, sorted as far as k.
void top_line(const Line& line, bool largest, std::span<std::int64_t> order, std::size_t k) {
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                    [&](std::int64_t a, std::int64_t b) {
                      if (largest ? line.less(b, a) : line.less(a, b)) return true;
                      if (largest ? line.less(a, b) : line.less(b, a)) return false;
                      return a < b;
                    });
}

BoundKernel bind_topk(const StepDescription& step) {
  return [along = step.attributes->get_int("axis", -1),
          largest = step.attributes->get_int("largest", 1) != 0](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const AxisView axis(x.shape, along);
    const AxisView result(call.outputs[0].shape, along);
    const std::size_t size = dtype_size(x.dtype);
    const std::span<std::int64_t> order(reinterpret_cast<std::int64_t*>(call.workspace),
                                        static_cast<std::size_t>(axis.size));
    const bool with_indices = call.outputs.size() > 1 && call.outputs[1].data != nullptr;
    for (std::int64_t i = 0; i < axis.lines(); ++i) {
      const Line line(x, axis, i);
      top_line(line, largest, order, static_cast<std::size_t>(result.size));
      for (std::int64_t k = 0; k < result.size; ++k) {
        const std::int64_t taken = order[static_cast<std::size_t>(k)];
        const std::int64_t to = result.first(i) + k * result.inner;
        std::copy_n(x.data + line.offset(taken) * static_cast<std::int64_t>(size), size,
                    call.outputs[0].data + to * static_cast<std::int64_t>(size));
        if (with_indices) call.outputs[1].as<std::int64_t>()[static_cast<std::size_t>(to)] = taken;
      }
    }
  };
}

std::size_t topk_workspace(const StepDescription& step, std::span<const Shape> inputs, int) {
  const AxisView axis(inputs[0], step.attributes->get_int("axis", -1));
  return static_cast<std::size_t>(axis.size) * sizeof(std::int64_t);
}

bool accepts_arg(const StepDescription& step) {
  return all_plain(step) && step.outputs[0].dtype == DType::i64;
}

constexpr KernelRow kRows[] = {
    {.op = "ArgMax",
     .name = "arg_max_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_arg,
     .bind = bind_arg<true>},
    {.op = "ArgMin",
     .name = "arg_min_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_arg,
     .bind = bind_arg<false>},
    {.op = "TopK",
     .name = "topk_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = moves_input,
     .bind = bind_topk,
     .workspace = topk_workspace},
};

}  // namespace

std::span<const KernelRow> arg_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
