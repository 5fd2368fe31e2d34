// What the plain convolutions share: sums in float64 over input channels and taps, for blocks of
// places and output channels, so that an element of x is converted once for many channels.
#pragma once

#include "kernels/cpu/reference/strided.h"
#include "kernels/cpu/reference/windows.h"

namespace tenon::kernels::cpu::convolution {

inline constexpr std::int64_t kPlaces = 128;  // with kChannels, 16 KiB of sums
inline constexpr std::int64_t kChannels = 16;

/// Sizes of one convolution, and where the weight of (group, channel m of it, input channel c of
/// it, tap) lies: base + m * channel_stride.
struct BlockShape {
  std::int64_t groups = 1;
  std::int64_t group_in = 1;
  std::int64_t group_out = 1;
  std::int64_t taps = 1;
  std::int64_t places = 1;          ///< of one plane of y
  std::int64_t channel_stride = 1;  ///< of the weight
};

struct Block {
  std::int64_t image, group, channel, channels, first, count;
};

/// gather(plane of x, tap, first place, count, values) gives what that tap reads at those places;
/// weight_base(group, first channel, c, tap) is the offset of a weight.
template <typename Gather, typename WeightBase>
void convolve_block(const Invocation& call, const BlockShape& shape, const Block& block,
                    const Gather& gather, const WeightBase& weight_base) {
  using namespace reference;
  double sums[kChannels][kPlaces];
  double values[kPlaces];
  double weights[kChannels];
  double bias[kChannels] = {};
  const TensorView& weight = call.inputs[1];
  const std::int64_t out_channel = block.group * shape.group_out + block.channel;
  if (call.inputs.size() > 2 && call.inputs[2].data != nullptr)
    load_real(call.inputs[2].dtype, call.inputs[2].data, out_channel, 1, block.channels, bias);
  for (std::int64_t m = 0; m < block.channels; ++m)
    std::fill(sums[m], sums[m] + block.count, bias[m]);
  for (std::int64_t c = 0; c < shape.group_in; ++c) {
    const std::int64_t plane = (block.image * shape.groups + block.group) * shape.group_in + c;
    for (std::int64_t tap = 0; tap < shape.taps; ++tap) {
      if (!gather(plane, tap, block.first, block.count, values)) continue;
      load_real(weight.dtype, weight.data, weight_base(block.group, block.channel, c, tap),
                shape.channel_stride, block.channels, weights);
      for (std::int64_t m = 0; m < block.channels; ++m) {
        const double w = weights[m];
        for (std::int64_t i = 0; i < block.count; ++i) sums[m][i] += w * values[i];
      }
    }
  }
  const MutableTensorView& y = call.outputs[0];
  for (std::int64_t m = 0; m < block.channels; ++m) {
    const std::int64_t offset =
        (block.image * y.shape[1] + out_channel + m) * shape.places + block.first;
    store_real(y.dtype, y.data, offset, 1, block.count, sums[m]);
  }
}

/// All blocks, over the pool.
template <typename Gather, typename WeightBase>
void convolve(const Invocation& call, const BlockShape& shape, const Gather& gather,
              const WeightBase& weight_base) {
  const std::int64_t channel_blocks = (shape.group_out + kChannels - 1) / kChannels;
  const std::int64_t place_blocks = (shape.places + kPlaces - 1) / kPlaces;
  const std::int64_t items =
      call.outputs[0].shape[0] * shape.groups * channel_blocks * place_blocks;
  reference::parallel(call, items, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t rest = item / place_blocks;
      Block block{};
      block.first = item % place_blocks * kPlaces;
      block.count = std::min(kPlaces, shape.places - block.first);
      block.channel = rest % channel_blocks * kChannels;
      block.channels = std::min(kChannels, shape.group_out - block.channel);
      block.group = rest / channel_blocks % shape.groups;
      block.image = rest / channel_blocks / shape.groups;
      convolve_block(call, shape, block, gather, weight_base);
    }
  });
}

}  // namespace tenon::kernels::cpu::convolution
