// ONNX Conv for any float type, rank and group.
#include "kernels/cpu/convolution/reference.h"
#include "kernels/cpu/convolution/reference_blocks.h"
#include "kernels/cpu/reference/accepts.h"

namespace tenon::kernels::cpu::convolution {
namespace {

using namespace reference;

// What one tap of the window reads at neighbouring places of a plane, 0 in the padding.
class WindowGather {
 public:
  WindowGather(const TensorView& x, const WindowPlan& plan) : x_(x), plan_(plan) {
    for (std::size_t i = 0; i < plan.rank; ++i) kernel_[i] = plan.axes[i].kernel;
  }

  bool operator()(std::int64_t plane, std::int64_t tap, std::int64_t first, std::int64_t count,
                  double* values) const {
    std::array<std::int64_t, kMaxRank> taps{};
    coordinates_of(tap, plan_.rank, kernel_.data(), taps.data());
    const std::int64_t width = plan_.axes[plan_.rank - 1].out;
    while (count > 0) {
      const std::int64_t column = first % width;
      const std::int64_t run = std::min(count, width - column);
      row(plane, taps.data(), first / width, column, run, values);
      values += run;
      first += run;
      count -= run;
    }
    return true;
  }

 private:
  void row(std::int64_t plane, const std::int64_t* taps, std::int64_t outer, std::int64_t column,
           std::int64_t run, double* values) const {
    const std::size_t inner = plan_.rank - 1;
    const WindowAxis& axis = plan_.axes[inner];
    std::int64_t offset = plane * plan_.plane;
    std::int64_t stride = axis.in;
    bool found = true;
    for (std::size_t i = inner; i-- > 0;) {
      const WindowAxis& above = plan_.axes[i];
      const std::int64_t source = above.source(outer % above.out, taps[i]);
      found = found && source >= 0 && source < above.in;
      offset += source * stride;
      stride *= above.in;
      outer /= above.out;
    }
    const WindowAxis::Places inside = axis.inside(taps[inner]);
    const std::int64_t last = column + run;
    const std::int64_t begin = found ? std::clamp(inside.first, column, last) : last;
    const std::int64_t end = found ? std::clamp(inside.last, begin, last) : last;
    std::fill(values, values + (begin - column), 0.0);
    std::fill(values + (end - column), values + run, 0.0);
    if (end == begin) return;
    load_real(x_.dtype, x_.data, offset + axis.source(begin, taps[inner]), axis.stride, end - begin,
              values + (begin - column));
  }

  const TensorView& x_;
  const WindowPlan& plan_;
  std::array<std::int64_t, kMaxRank> kernel_{};
};

void run_conv(const Invocation& call, const WindowAttributes& attributes, std::int64_t groups) {
  const TensorView& x = call.inputs[0];
  const Shape& weight = call.inputs[1].shape;
  const MutableTensorView& y = call.outputs[0];
  if (y.count() == 0) return;
  const WindowPlan plan(attributes, std::span(x.shape).subspan(2), std::span(y.shape).subspan(2),
                        std::span(weight).subspan(2));
  BlockShape shape;
  shape.groups = groups;
  shape.group_in = weight[1];
  shape.group_out = weight[0] / groups;
  shape.taps = plan.taps;
  shape.places = plan.places;
  shape.channel_stride = shape.group_in * plan.taps;
  convolve(call, shape, WindowGather(x, plan),
           [&](std::int64_t group, std::int64_t channel, std::int64_t c, std::int64_t tap) {
             return (group * shape.group_out + channel) * shape.channel_stride + c * plan.taps +
                    tap;
           });
}

BoundKernel bind_conv(const StepDescription& step) {
  return [attributes = WindowAttributes(*step.attributes),
          groups = step.attributes->get_int("group", 1)](const Invocation& call) {
    run_conv(call, attributes, groups);
  };
}

constexpr KernelRow kRows[] = {
    {.op = "Conv",
     .name = "conv_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_float,
     .bind = bind_conv},
};

}  // namespace

std::span<const KernelRow> reference_conv_rows() { return kRows; }

}  // namespace tenon::kernels::cpu::convolution
