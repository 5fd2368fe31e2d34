// ONNX ConvTranspose for any float type, rank and group: y[place * stride + tap * dilation - begin]
// sums x[place] * w[tap].
#include "kernels/cpu/convolution/reference.h"
#include "kernels/cpu/convolution/reference_blocks.h"
#include "kernels/cpu/reference/accepts.h"

namespace tenon::kernels::cpu::convolution {
namespace {

using namespace reference;

// Of the axes of the plan, `in` is the size of y and `out` that of x: the window slides over y.
class ScatteredGather {
 public:
  ScatteredGather(const TensorView& x, const WindowPlan& plan) : x_(x), plan_(plan) {
    for (std::size_t i = 0; i < plan.rank; ++i) kernel_[i] = plan.axes[i].kernel;
  }

  // False when the tap leads nowhere from all these places.
  bool operator()(std::int64_t plane, std::int64_t tap, std::int64_t first, std::int64_t count,
                  double* values) const {
    std::array<std::int64_t, kMaxRank> taps{};
    coordinates_of(tap, plan_.rank, kernel_.data(), taps.data());
    const std::int64_t width = plan_.axes[plan_.rank - 1].in;
    std::fill(values, values + count, 0.0);
    bool any = false;
    while (count > 0) {
      const std::int64_t column = first % width;
      const std::int64_t run = std::min(count, width - column);
      any = row(plane, taps.data(), first / width, column, run, values) || any;
      values += run;
      first += run;
      count -= run;
    }
    return any;
  }

 private:
  bool row(std::int64_t plane, const std::int64_t* taps, std::int64_t outer, std::int64_t column,
           std::int64_t run, double* values) const {
    const std::size_t inner = plan_.rank - 1;
    const WindowAxis& axis = plan_.axes[inner];
    std::int64_t offset = plane * plan_.places;
    std::int64_t stride = axis.out;
    for (std::size_t i = inner; i-- > 0;) {
      const WindowAxis& above = plan_.axes[i];
      const std::int64_t shifted = outer % above.in + above.begin - taps[i] * above.dilation;
      if (shifted < 0 || shifted % above.stride != 0 || shifted / above.stride >= above.out)
        return false;
      offset += shifted / above.stride * stride;
      stride *= above.out;
      outer /= above.in;
    }
    const WindowAxis::Places inside = axis.inside(taps[inner]);
    bool any = false;
    const std::int64_t ahead = column - axis.source(0, taps[inner]);
    std::int64_t place = std::max(inside.first, ahead <= 0 ? 0 : (ahead - 1) / axis.stride + 1);
    for (; place < inside.last; ++place) {
      const std::int64_t at = axis.source(place, taps[inner]) - column;
      if (at >= run) break;
      load_real(x_.dtype, x_.data, offset + place, 1, 1, values + at);
      any = true;
    }
    return any;
  }

  const TensorView& x_;
  const WindowPlan& plan_;
  std::array<std::int64_t, kMaxRank> kernel_{};
};

struct Transposed {
  WindowAttributes window;
  std::vector<std::int64_t> output_padding;
  bool sized = false;  // output_shape or SAME: the padding follows from the sizes
  std::int64_t groups = 1;

  explicit Transposed(const Attributes& attributes)
      : window(attributes),
        output_padding(attributes.get_ints("output_padding")),
        sized(attributes.has("output_shape") || window.same_upper || window.same_lower),
        groups(attributes.get_int("group", 1)) {}
};

// The padding that leaves y its size: total = stride * (in - 1) + output_padding + extent - out.
void settle_padding(const Transposed& transposed, WindowPlan& plan) {
  for (std::size_t i = 0; i < plan.rank; ++i) {
    WindowAxis& axis = plan.axes[i];
    const std::int64_t extra =
        i < transposed.output_padding.size() ? transposed.output_padding[i] : 0;
    const std::int64_t total =
        std::max<std::int64_t>(0, axis.stride * (axis.out - 1) + extra + axis.extent() - axis.in);
    axis.begin = transposed.window.same_upper ? total / 2 : total - total / 2;
    axis.end = total - axis.begin;
  }
}

void run_transposed(const Invocation& call, const Transposed& transposed) {
  const TensorView& x = call.inputs[0];
  const Shape& weight = call.inputs[1].shape;  // [C, M / group, kernel...]
  const MutableTensorView& y = call.outputs[0];
  if (y.count() == 0) return;
  WindowPlan plan(transposed.window, std::span(y.shape).subspan(2), std::span(x.shape).subspan(2),
                  std::span(weight).subspan(2));
  if (transposed.sized) settle_padding(transposed, plan);
  BlockShape shape;
  shape.groups = transposed.groups;
  shape.group_in = weight[0] / transposed.groups;
  shape.group_out = weight[1];
  shape.taps = plan.taps;
  shape.places = plan.plane;
  shape.channel_stride = plan.taps;
  convolve(call, shape, ScatteredGather(x, plan),
           [&](std::int64_t group, std::int64_t channel, std::int64_t c, std::int64_t tap) {
             return ((group * shape.group_in + c) * shape.group_out + channel) * plan.taps + tap;
           });
}

BoundKernel bind_transposed(const StepDescription& step) {
  return [transposed = Transposed(*step.attributes)](const Invocation& call) {
    run_transposed(call, transposed);
  };
}

constexpr KernelRow kRows[] = {
    {.op = "ConvTranspose",
     .name = "conv_transpose_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_float,
     .bind = bind_transposed},
};

}  // namespace

std::span<const KernelRow> reference_conv_transpose_rows() { return kRows; }

}  // namespace tenon::kernels::cpu::convolution
