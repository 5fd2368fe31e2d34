#include "models/image_builder.h"

#include "base/error.h"

namespace tenon::models {
namespace {

Attributes nearest() {
  return {{"mode", std::string("nearest")},
          {"coordinate_transformation_mode", std::string("asymmetric")},
          {"nearest_mode", std::string("floor")}};
}

}  // namespace

Conv2d pointwise(std::int64_t in, std::int64_t out, bool bias) {
  return {in, out, 1, 1, {0, 0, 0, 0}, bias};
}

ValueId ImageBuilder::conv(const std::string& module, ValueId x, const Conv2d& conv) {
  std::vector<ValueId> inputs = {
      x, weight(module + ".weight", {conv.out, conv.in, conv.kernel, conv.kernel})};
  if (conv.bias) inputs.push_back(weight(module + ".bias", {conv.out}));
  return node(module, "Conv", std::move(inputs),
              {{"kernel_shape", std::vector<std::int64_t>{conv.kernel, conv.kernel}},
               {"strides", std::vector<std::int64_t>{conv.stride, conv.stride}},
               {"pads", conv.pads}});
}

ValueId ImageBuilder::group_norm(const std::string& module, ValueId x, std::int64_t channels,
                                 std::int64_t groups, double epsilon) {
  if (channels % groups != 0) {
    bad_input("{}: {} channels do not divide into norm_num_groups {}", module, channels, groups);
  }
  const ValueId scale = weight(module + ".weight", {channels});
  const ValueId shift = weight(module + ".bias", {channels});
  return node(module, "GroupNormalization", {x, scale, shift},
              {{"epsilon", static_cast<float>(epsilon)},
               {"num_groups", groups},
               {"stash_type", std::int64_t{1}}});
}

ValueId ImageBuilder::upsample_nearest(const std::string& module, ValueId x, std::int64_t factor) {
  const auto scale = static_cast<float>(factor);
  const std::vector<float> scales = {1, 1, scale, scale};
  return node(module, "Resize",
              {x, kNoValue, constant("constant", Tensor::from_floats({4}, scales))}, nearest());
}

ValueId ImageBuilder::resize_like(const std::string& module, ValueId x, ValueId like) {
  const ValueId wanted =
      concat(module, {sizes(module, x, 0, 2), sizes(module, like, 2, 4)}, std::int64_t{0});
  return node(module, "Resize", {x, kNoValue, kNoValue, wanted}, nearest());
}

ValueId ImageBuilder::to_tokens(const std::string& module, ValueId x, std::int64_t channels) {
  return reshape(module, transpose(module, x, {0, 2, 3, 1}), {0, -1, channels});
}

ValueId ImageBuilder::to_picture(const std::string& module, ValueId tokens, ValueId like,
                                 std::int64_t channels) {
  const ValueId shape =
      concat(module, {sizes(module, like, 0, 1), sizes(module, like, 2, 4), ints({channels})}, 0);
  return transpose(module, node(module, "Reshape", {tokens, shape}), {0, 3, 1, 2});
}

}  // namespace tenon::models
