// Operators of pictures with channels last, which only passes make: a convolution with the work of
// its neighbours, and the normalisation of groups in two parts.
#include <array>
#include <utility>

#include "graph/ops/common.h"
#include "graph/ops/ops.h"

namespace tenon::graph::ops {
namespace {

constexpr std::int64_t kMostSize = std::int64_t{1} << 31;  // keeps all index arithmetic in 64 bits

void check_activation(const InferenceContext& context, std::string_view attribute) {
  const std::string name = context.attributes().get_string(attribute, "");
  for (const char* known : {"", "relu", "gelu", "gelu_tanh", "silu"}) {
    if (name == known) return;
  }
  bad_input("{} \"{}\", expected one of relu, gelu, gelu_tanh, silu or none", attribute, name);
}

template <std::size_t kCount>
std::array<std::int64_t, kCount> sizes(const InferenceContext& context, std::string_view name,
                                       std::int64_t fallback, std::int64_t least) {
  const auto given = context.attributes().get_ints(name);
  std::array<std::int64_t, kCount> found;
  found.fill(fallback);
  if (given.empty()) return found;
  if (given.size() != kCount) bad_input("{} {}, expected {}", given.size(), name, kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    if (given[i] < least || given[i] > kMostSize)
      bad_input("{} {}, expected {} to {}", name, given[i], least, kMostSize);
    found[i] = given[i];
  }
  return found;
}

std::int64_t channels_of(const InferenceContext& context, std::size_t index) {
  const Value& value = context.input(index);
  const auto channels = value.shape.back().constant();
  if (!channels)
    bad_input("input {} ({}) has {} channels, expected a number", index, value.name,
              value.shape.back().to_string());
  return *channels;
}

// Inputs `first` and `second` (which may be absent) differ at most in their last dimension: all
// channels of the two.
std::int64_t joined_channels(InferenceContext& context, std::size_t first, std::size_t second) {
  std::int64_t channels = channels_of(context, first);
  if (!context.has_input(second)) return channels;
  require_same_type(context, first, second);
  const DimShape& shape = context.input(first).shape;
  require_rank(context, second, shape.size());
  const DimShape& other = context.input(second).shape;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i)
    with_context("second input", [&] { context.require_equal(shape[i], other[i]); });
  return channels + channels_of(context, second);
}

void require_shape(InferenceContext& context, std::size_t index, const DimShape& shape) {
  if (!context.has_input(index)) return;
  float_input(context, index);
  require_rank(context, index, shape.size());
  const Value& value = context.input(index);
  for (std::size_t i = 0; i < shape.size(); ++i)
    with_context(value.name, [&] { context.require_equal(value.shape[i], shape[i]); });
}

enum ConvInput : std::size_t { kX, kWeight, kBias, kResidual, kImageBias, kScaleShift, kX2 };

void check_weight(InferenceContext& context, std::int64_t channels, std::int64_t taps) {
  const std::int64_t group = context.attributes().get_int("group", 1);
  if (group < 1 || channels % group != 0)
    bad_input("{} channels do not divide into {} groups", channels, group);
  float_input(context, kWeight);
  require_rank(context, kWeight, 2);
  const DimShape& weight = context.input(kWeight).shape;
  with_context("depth of the weight",
               [&] { context.require_equal(weight[0], Dim(taps) * Dim(channels / group)); });
  const auto columns = weight[1].constant();
  if (!columns || *columns % group != 0)
    bad_input("{} results do not divide into {} groups", weight[1].to_string(), group);
}

// x [N, H, W, C], weight [kh kw (C + C2) / group, M], bias [M]?, residual [N, OH, OW, M]?,
// image_bias [N, M]?, scale_shift [N, 2, C + C2]?, x2 [N, H, W, C2]? -> [N, OH, OW, M].
void infer_conv(InferenceContext& context) {
  const Value& x = float_input(context, kX);
  require_rank(context, kX, 4);
  check_activation(context, "activation");
  if (const auto name = context.attributes().get_string("input_activation", "");
      !name.empty() && name != "silu")
    bad_input("input_activation \"{}\", expected silu or none", name);
  const auto kernel = sizes<2>(context, "kernel_shape", 1, 1);
  const auto strides = sizes<2>(context, "strides", 1, 1);
  const auto dilations = sizes<2>(context, "dilations", 1, 1);
  const auto pads = sizes<4>(context, "pads", 0, 0);
  const std::int64_t upsample = context.attributes().get_int("upsample", 1);
  if (upsample != 1 && upsample != 2) bad_input("upsample {}, expected 1 or 2", upsample);
  const std::int64_t channels = joined_channels(context, kX, kX2);
  check_weight(context, channels, kernel[0] * kernel[1]);

  DimShape shape = x.shape;
  for (std::size_t i = 0; i < 2; ++i) {
    const Dim padded = shape[i + 1] * Dim(upsample) + Dim(pads[i] + pads[i + 2]);
    const Dim room = padded - Dim(dilations[i] * (kernel[i] - 1) + 1);
    with_context("the kernel inside the padded picture",
                 [&] { assume_at_least(context, room, 0); });
    shape[i + 1] = Dim::floor_div(room, Dim(strides[i])) + Dim(1);
  }
  const Dim columns = context.input(kWeight).shape[1];
  shape[3] = columns;
  require_shape(context, kBias, {columns});
  require_shape(context, kResidual, shape);
  require_shape(context, kImageBias, {shape[0], columns});
  require_shape(context, kScaleShift, {shape[0], Dim(2), Dim(channels)});
  context.set_output(0, x.dtype, std::move(shape));
}

// x [N, ..., C], gamma [C + C2], beta [C + C2], x2 [N, ..., C2]? -> [N, 2, C + C2].
void infer_group_scale(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  require_min_rank(context, 0, 2);
  const std::int64_t channels = joined_channels(context, 0, 3);
  const std::int64_t groups = context.attributes().get_int("num_groups", 0);
  if (groups <= 0) bad_input("num_groups is {}, expected a positive number", groups);
  if (channels % groups != 0)
    bad_input("{} channels do not divide into {} groups", channels, groups);
  require_shape(context, 1, {Dim(channels)});
  require_shape(context, 2, {Dim(channels)});
  context.set_output(0, x.dtype, {x.shape[0], Dim(2), Dim(channels)});
}

// x [N, ..., C], scale_shift [N, 2, C] -> as x.
void infer_scale_shift(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  require_min_rank(context, 0, 2);
  check_activation(context, "activation");
  float_input(context, 1);
  require_shape(context, 1, {x.shape[0], Dim(2), x.shape.back()});
  infer_like_input(context);
}

const OpSchema kOps[] = {
    {"tenon.Conv",
     0,
     2,
     7,
     1,
     1,
     {"kernel_shape", "strides", "pads", "dilations", "group", "activation", "input_activation",
      "upsample"},
     infer_conv},
    {"tenon.GroupScale", 0, 3, 4, 1, 1, {"num_groups", "epsilon"}, infer_group_scale},
    {"tenon.ScaleShift", 0, 2, 2, 1, 1, {"activation"}, infer_scale_shift},
};

}  // namespace

std::span<const OpSchema> image_channels_last_ops() { return kOps; }

}  // namespace tenon::graph::ops
