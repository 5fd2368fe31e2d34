#include "models/transformer_2d.h"

#include <array>

#include "base/error.h"
#include "models/image_attention.h"

namespace tenon::models {
namespace {

constexpr double kInputNormEpsilon = 1e-6;
constexpr double kTokenNormEpsilon = 1e-5;
constexpr std::int64_t kExpansion = 4;  // of the feed-forward layer
constexpr std::array<std::int64_t, 3> kDualParts = {0, 77, 77 + 257};

ValueId feed_forward(ImageBuilder& builder, const std::string& module, ValueId x,
                     std::int64_t width) {
  const std::int64_t inner = kExpansion * width;
  const ValueId both = builder.linear(module + ".net.0.proj", x, width, 2 * inner);
  const auto [hidden, gate] = builder.halves(module + ".net.0", both, inner, -1);
  const ValueId gated = builder.multiply(
      module + ".net.0", hidden, builder.activation(module + ".net.0", "gelu", gate, "act_fn"));
  return builder.linear(module + ".net.2", gated, inner, width);
}

ValueId transformer_block(ImageBuilder& builder, const std::string& module, ValueId x,
                          ValueId context, const TransformerShape& shape) {
  const std::int64_t width = shape.heads * shape.head_dim;
  const auto norm = [&](const char* name) {
    return builder.layer_norm(module + name, x, width, kTokenNormEpsilon);
  };
  const auto attend = [&](const char* name, ValueId from, ValueId to, std::int64_t to_width) {
    const AttentionShape attended{width,          to_width, shape.heads,
                                  shape.head_dim, false,    shape.upcast_attention};
    return builder.add(module, attention(builder, module + name, from, to, attended), x);
  };
  const ValueId first = norm(".norm1");
  x = shape.only_cross_attention ? attend(".attn1", first, context, shape.context_dim)
                                 : attend(".attn1", first, first, width);
  x = attend(".attn2", norm(".norm2"), context, shape.context_dim);
  return builder.add(module, feed_forward(builder, module + ".ff", norm(".norm3"), width), x);
}

}  // namespace

ValueId transformer_2d(ImageBuilder& builder, const std::string& module, ValueId x, ValueId context,
                       const TransformerShape& shape) {
  const std::int64_t inner = shape.heads * shape.head_dim;
  const ValueId normed =
      builder.group_norm(module + ".norm", x, shape.channels, shape.groups, kInputNormEpsilon);
  ValueId tokens;
  if (shape.linear_projection) {
    tokens = builder.linear(module + ".proj_in", builder.to_tokens(module, normed, shape.channels),
                            shape.channels, inner);
  } else {
    tokens = builder.to_tokens(
        module, builder.conv(module + ".proj_in", normed, pointwise(shape.channels, inner)), inner);
  }
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    tokens = transformer_block(builder, fmt::format("{}.transformer_blocks.{}", module, layer),
                               tokens, context, shape);
  }
  ValueId picture;
  if (shape.linear_projection) {
    const ValueId projected = builder.linear(module + ".proj_out", tokens, inner, shape.channels);
    picture = builder.to_picture(module, projected, x, shape.channels);
  } else {
    picture = builder.conv(module + ".proj_out", builder.to_picture(module, tokens, x, inner),
                           pointwise(inner, shape.channels));
  }
  return builder.add(module, picture, x);
}

ValueId dual_transformer_2d(ImageBuilder& builder, const std::string& module, ValueId x,
                            ValueId context, const TransformerShape& shape) {
  TransformerShape single = shape;
  single.layers = 1;
  single.linear_projection = false;
  single.only_cross_attention = false;
  single.upcast_attention = false;
  ValueId mixed = kNoValue;
  for (std::size_t part = 0; part < 2; ++part) {
    const ValueId tokens = builder.node(module, "Slice",
                                        {context, builder.ints({kDualParts[part]}),
                                         builder.ints({kDualParts[part + 1]}), builder.ints({1})});
    // The first part goes through the second transformer and the other way round.
    const std::string transformer = fmt::format("{}.transformers.{}", module, 1 - part);
    const ValueId encoded = transformer_2d(builder, transformer, x, tokens, single);
    const ValueId change = builder.node(module, "Sub", {encoded, x});
    const ValueId half = builder.multiply(module, change, 0.5F);
    mixed = part == 0 ? half : builder.add(module, mixed, half);
  }
  return builder.add(module, mixed, x);
}

}  // namespace tenon::models
