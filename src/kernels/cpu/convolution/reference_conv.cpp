// ONNX Conv for any float type, rank and group, summed in float64: blocks of places and channels,
// so that an element of x is converted once for many channels.
#include "kernels/cpu/convolution/reference.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"
#include "kernels/cpu/reference/windows.h"

namespace tenon::kernels::cpu::convolution {
namespace {

using namespace reference;

constexpr std::int64_t kPlaces = 128;  // with kChannels, 16 KiB of sums
constexpr std::int64_t kChannels = 16;

struct Conv {
  const Invocation& call;
  const WindowPlan& plan;
  std::int64_t group_in;   // channels of x in a group
  std::int64_t group_out;  // channels of y in a group

  // values[i] = x under one tap at place first + i, 0 in the padding.
  void gather(std::int64_t image_plane, const std::int64_t* taps, std::int64_t first,
              std::int64_t count, double* values) const;
  void block(std::int64_t image, std::int64_t group, std::int64_t channel, std::int64_t channels,
             std::int64_t first, std::int64_t count) const;
};

void Conv::gather(std::int64_t image_plane, const std::int64_t* taps, std::int64_t first,
                  std::int64_t count, double* values) const {
  const TensorView& x = call.inputs[0];
  const std::size_t inner = plan.rank - 1;
  const WindowAxis& row = plan.axes[inner];
  const WindowAxis::Places inside = row.inside(taps[inner]);
  while (count > 0) {
    const std::int64_t column = first % row.out;
    const std::int64_t run = std::min(count, row.out - column);
    std::int64_t outer = first / row.out;
    std::int64_t offset = 0;
    std::int64_t stride = row.in;
    bool found = true;
    for (std::size_t i = inner; i-- > 0;) {
      const std::int64_t source = plan.axes[i].source(outer % plan.axes[i].out, taps[i]);
      found = found && source >= 0 && source < plan.axes[i].in;
      offset += source * stride;
      stride *= plan.axes[i].in;
      outer /= plan.axes[i].out;
    }
    const std::int64_t begin =
        found ? std::clamp(inside.first, column, column + run) : column + run;
    const std::int64_t end = found ? std::clamp(inside.last, begin, column + run) : begin;
    std::fill(values, values + (begin - column), 0.0);
    if (end > begin) {
      load_real(x.dtype, x.data, image_plane * plan.plane + offset + row.source(begin, taps[inner]),
                row.stride, end - begin, values + (begin - column));
    }
    std::fill(values + (end - column), values + run, 0.0);
    values += run;
    first += run;
    count -= run;
  }
}

void Conv::block(std::int64_t image, std::int64_t group, std::int64_t channel,
                 std::int64_t channels, std::int64_t first, std::int64_t count) const {
  const TensorView& weight = call.inputs[1];
  double sums[kChannels][kPlaces];
  double values[kPlaces];
  double weights[kChannels];
  double bias[kChannels] = {};
  const std::int64_t out_channel = group * group_out + channel;
  if (call.inputs.size() > 2 && call.inputs[2].data != nullptr)
    load_real(call.inputs[2].dtype, call.inputs[2].data, out_channel, 1, channels, bias);
  for (std::int64_t m = 0; m < channels; ++m) std::fill(sums[m], sums[m] + count, bias[m]);
  std::array<std::int64_t, kMaxRank> sizes{};
  std::array<std::int64_t, kMaxRank> taps{};
  for (std::size_t i = 0; i < plan.rank; ++i) sizes[i] = plan.axes[i].kernel;
  const std::int64_t row = group_in * plan.taps;  // weights of one output channel
  for (std::int64_t c = 0; c < group_in; ++c) {
    const std::int64_t image_plane = (image * call.inputs[0].shape[1]) + group * group_in + c;
    for (std::int64_t tap = 0; tap < plan.taps; ++tap) {
      coordinates_of(tap, plan.rank, sizes.data(), taps.data());
      gather(image_plane, taps.data(), first, count, values);
      load_real(weight.dtype, weight.data, out_channel * row + c * plan.taps + tap, row, channels,
                weights);
      for (std::int64_t m = 0; m < channels; ++m) {
        const double w = weights[m];
        for (std::int64_t i = 0; i < count; ++i) sums[m][i] += w * values[i];
      }
    }
  }
  const MutableTensorView& y = call.outputs[0];
  for (std::int64_t m = 0; m < channels; ++m) {
    const std::int64_t offset = (image * y.shape[1] + out_channel + m) * plan.places + first;
    store_real(y.dtype, y.data, offset, 1, count, sums[m]);
  }
}

void run_conv(const Invocation& call, const WindowAttributes& attributes, std::int64_t groups) {
  const TensorView& x = call.inputs[0];
  const Shape& weight = call.inputs[1].shape;
  const MutableTensorView& y = call.outputs[0];
  if (y.count() == 0) return;
  const WindowPlan plan(attributes, std::span(x.shape).subspan(2), std::span(y.shape).subspan(2),
                        std::span(weight).subspan(2));
  const Conv conv{call, plan, weight[1], weight[0] / groups};
  const std::int64_t channel_blocks = (conv.group_out + kChannels - 1) / kChannels;
  const std::int64_t place_blocks = (plan.places + kPlaces - 1) / kPlaces;
  const std::int64_t items = x.shape[0] * groups * channel_blocks * place_blocks;
  parallel(call, items, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t first = item % place_blocks * kPlaces;
      const std::int64_t rest = item / place_blocks;
      const std::int64_t channel = rest % channel_blocks * kChannels;
      const std::int64_t group = rest / channel_blocks % groups;
      conv.block(rest / channel_blocks / groups, group, channel,
                 std::min(kChannels, conv.group_out - channel), first,
                 std::min(kPlaces, plan.places - first));
    }
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
