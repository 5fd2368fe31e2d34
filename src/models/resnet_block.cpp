#include "models/resnet_block.h"

namespace tenon::models {
namespace {

// [B, width] through time_emb_proj as [B, out, 1, 1].
ValueId project_time(ImageBuilder& builder, const std::string& module, ValueId time,
                     std::int64_t out, const ResnetShape& shape) {
  const ValueId active =
      builder.activation(module + ".nonlinearity", shape.activation, time, "act_fn");
  const ValueId wide = builder.linear(module + ".time_emb_proj", active, shape.time_width, out);
  return builder.node(module, "Unsqueeze", {wide, builder.ints({2, 3})});
}

ValueId scaled_and_shifted(ImageBuilder& builder, const std::string& module, ValueId x,
                           ValueId time, std::int64_t out) {
  const auto [scale, shift] = builder.halves(module, time, out, 1);
  const ValueId factor = builder.add(module, scale, builder.scalar(1.0F, builder.dtype()));
  return builder.add(module, builder.multiply(module, x, factor), shift);
}

}  // namespace

ValueId resnet_block(ImageBuilder& builder, const std::string& module, ValueId x, ValueId time,
                     std::int64_t in, std::int64_t out, const ResnetShape& shape) {
  const auto active = [&](ValueId value) {
    return builder.activation(module + ".nonlinearity", shape.activation, value, "act_fn");
  };
  const auto norm = [&](const char* name, ValueId value, std::int64_t channels) {
    return builder.group_norm(module + name, value, channels, shape.groups, shape.epsilon);
  };
  ValueId hidden = builder.conv(module + ".conv1", active(norm(".norm1", x, in)), {in, out});
  if (time == kNoValue) {
    hidden = norm(".norm2", hidden, out);
  } else if (shape.scale_shift) {
    const ValueId projected = project_time(builder, module, time, 2 * out, shape);
    hidden = scaled_and_shifted(builder, module, norm(".norm2", hidden, out), projected, out);
  } else {
    const ValueId projected = project_time(builder, module, time, out, shape);
    hidden = norm(".norm2", builder.add(module, hidden, projected), out);
  }
  hidden = builder.conv(module + ".conv2", active(hidden), {out, out});
  const ValueId straight =
      in == out ? x : builder.conv(module + ".conv_shortcut", x, pointwise(in, out));
  const ValueId sum = builder.add(module, straight, hidden);
  if (shape.output_scale_factor == 1) return sum;
  const auto divisor = static_cast<float>(shape.output_scale_factor);
  return builder.node(module, "Div", {sum, builder.scalar(divisor, builder.dtype())});
}

ValueId downsample(ImageBuilder& builder, const std::string& module, ValueId x,
                   std::int64_t channels, std::int64_t padding) {
  Conv2d conv{channels, channels, 3, 2, {padding, padding, padding, padding}};
  if (padding == 0) conv.pads = {0, 0, 1, 1};
  return builder.conv(module + ".conv", x, conv);
}

ValueId upsample(ImageBuilder& builder, const std::string& module, ValueId x, std::int64_t channels,
                 ValueId like) {
  const ValueId large = like == kNoValue ? builder.upsample_nearest(module, x, 2)
                                         : builder.resize_like(module, x, like);
  return builder.conv(module + ".conv", large, {channels, channels});
}

}  // namespace tenon::models
