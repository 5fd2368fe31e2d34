#include "models/image_attention.h"

#include <cmath>

namespace tenon::models {
namespace {

constexpr double kPixelNormEpsilon = 1e-6;

ValueId split_heads(ImageBuilder& builder, const std::string& module, ValueId x,
                    const AttentionShape& shape) {
  const ValueId parted = builder.reshape(module, x, {0, 0, shape.heads, shape.head_dim});
  return builder.transpose(module, parted, {0, 2, 1, 3});
}

}  // namespace

ValueId attention(ImageBuilder& builder, const std::string& module, ValueId x, ValueId context,
                  const AttentionShape& shape) {
  const std::int64_t inner = shape.heads * shape.head_dim;
  const auto project = [&](const char* name, ValueId from, std::int64_t width) {
    const ValueId y = builder.linear(module + name, from, width, inner, shape.bias);
    return split_heads(builder, module, y, shape);
  };
  ValueId q = project(".to_q", x, shape.query_dim);
  ValueId k = project(".to_k", context, shape.context_dim);
  const ValueId v = project(".to_v", context, shape.context_dim);
  if (shape.upcast_scores) {
    q = builder.cast(module, q, DType::f32);
    k = builder.cast(module, k, DType::f32);
  }
  // Scaling the query first keeps the products inside float16 where the scores themselves would
  // leave it.
  const double scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  q = builder.multiply(module, q, static_cast<float>(scale));
  ValueId scores = builder.node(module, "MatMul", {q, builder.transpose(module, k, {0, 1, 3, 2})});
  if (shape.upcast_softmax) scores = builder.cast(module, scores, DType::f32);
  const ValueId weights = builder.node(module, "Softmax", {scores}, {{"axis", std::int64_t{-1}}});
  const ValueId mixed =
      builder.node(module, "MatMul", {builder.cast(module, weights, builder.dtype()), v});
  const ValueId joined =
      builder.reshape(module, builder.transpose(module, mixed, {0, 2, 1, 3}), {0, 0, inner});
  return builder.linear(module + ".to_out.0", joined, inner, shape.query_dim);
}

ValueId pixel_attention(ImageBuilder& builder, const std::string& module, ValueId x,
                        std::int64_t channels, std::int64_t groups) {
  const ValueId normed =
      builder.group_norm(module + ".group_norm", x, channels, groups, kPixelNormEpsilon);
  const ValueId tokens = builder.to_tokens(module, normed, channels);
  const AttentionShape shape{channels, channels, 1, channels, true, false, true};
  const ValueId mixed = attention(builder, module, tokens, tokens, shape);
  return builder.add(module, builder.to_picture(module, mixed, x, channels), x);
}

}  // namespace tenon::models
