// Rotary positions and attention.
#include "graph/ops/common.h"
#include "graph/ops/ops.h"

namespace tenon::graph::ops {
namespace {

std::int64_t positive(const InferenceContext& context, std::string_view name) {
  const std::int64_t number = context.attributes().get_int(name, 0);
  if (number <= 0) bad_input("attribute {} is {}, expected a positive number", name, number);
  return number;
}

Dim width_of_head(const Dim& hidden, std::int64_t heads) {
  const auto width = hidden.divided_by(Dim(heads));
  if (!width) bad_input("a width of {} does not divide into {} heads", hidden.to_string(), heads);
  return *width;
}

// The caches: [positions, D/2] beside position ids [B, S], else [B, S, D/2].
void check_rotary_caches(InferenceContext& context, const Dim& batch, const Dim& sequence,
                         const Dim& half) {
  const bool by_position = context.has_input(3);
  if (by_position) {
    typed_input(context, 3, DType::i64);
    require_rank(context, 3, 2);
    context.require_equal(context.input(3).shape[0], batch);
    context.require_equal(context.input(3).shape[1], sequence);
  }
  for (const std::size_t index : {std::size_t{1}, std::size_t{2}}) {
    require_same_type(context, 0, index);
    require_rank(context, index, by_position ? 2 : 3);
    const Value& cache = context.input(index);
    with_context(cache.name, [&] {
      context.require_equal(cache.shape.back(), half);
      if (by_position) return;
      context.require_equal(cache.shape[0], batch);
      context.require_equal(cache.shape[1], sequence);
    });
  }
}

// X: [B, heads, S, D], or [B, S, heads * D] with num_heads.
void infer_rotary(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  require_min_rank(context, 0, 3);
  const bool split = x.shape.size() == 4;
  if (!split) require_rank(context, 0, 3);
  const Dim head = split ? x.shape[3] : width_of_head(x.shape[2], positive(context, "num_heads"));
  const std::int64_t given = context.attributes().get_int("rotary_embedding_dim", 0);
  const Dim rotated = given == 0 ? head : Dim(given);
  const auto half = rotated.divided_by(Dim(2));
  if (given < 0 || !half || (head - rotated).constant().value_or(0) < 0)
    bad_input("{} of {} elements cannot be rotated", rotated.to_string(), head.to_string());
  check_rotary_caches(context, x.shape[0], split ? x.shape[2] : x.shape[1], *half);
  infer_like_input(context);
}

// Sizes of an attention, however its inputs are laid out.
struct AttentionSizes {
  Dim batch, q_heads, kv_heads, queries, keys, width, value_width;
};

struct Heads {
  Dim batch, heads, tokens, width;
};

// [B, heads, T, D] or [B, T, heads * D] with the head count in an attribute.
Heads heads_of(const InferenceContext& context, std::size_t index, std::string_view attribute) {
  const DimShape& shape = float_input(context, index).shape;
  if (shape.size() == 4) return {shape[0], shape[1], shape[2], shape[3]};
  require_rank(context, index, 3);
  const std::int64_t heads = positive(context, attribute);
  return {shape[0], Dim(heads), shape[1], width_of_head(shape[2], heads)};
}

void require_grouped(const Dim& q_heads, const Dim& kv_heads) {
  const auto groups = q_heads.divided_by(kv_heads);
  if (q_heads.constant() && kv_heads.constant() && !groups)
    bad_input("{} query heads do not divide among {} key/value heads", q_heads.to_string(),
              kv_heads.to_string());
}

AttentionSizes attention_sizes(InferenceContext& context, const Heads& q, const Heads& k,
                               const Heads& v) {
  AttentionSizes sizes;
  sizes.batch = context.require_equal(context.require_equal(q.batch, k.batch), v.batch);
  sizes.q_heads = q.heads;
  sizes.kv_heads =
      with_context("heads of K and V", [&] { return context.require_equal(k.heads, v.heads); });
  require_grouped(sizes.q_heads, sizes.kv_heads);
  sizes.queries = q.tokens;
  sizes.keys =
      with_context("tokens of K and V", [&] { return context.require_equal(k.tokens, v.tokens); });
  sizes.width =
      with_context("widths of Q and K", [&] { return context.require_equal(q.width, k.width); });
  sizes.value_width = v.width;
  return sizes;
}

void check_mask(InferenceContext& context, std::size_t index, const AttentionSizes& sizes) {
  const Value& mask = context.input(index);
  if (mask.dtype != DType::boolean) float_input(context, index);
  with_context("mask", [&] {
    require_broadcast_to(context, mask.shape,
                         {sizes.batch, sizes.q_heads, sizes.queries, sizes.keys});
  });
}

// A past [B, kv heads, P, width] goes before the new tokens.
Dim with_past(InferenceContext& context, std::size_t index, const AttentionSizes& sizes,
              const Dim& width) {
  require_same_type(context, 0, index);
  require_rank(context, index, 4);
  const DimShape& past = context.input(index).shape;
  with_context(context.input(index).name, [&] {
    context.require_equal(past[0], sizes.batch);
    context.require_equal(past[1], sizes.kv_heads);
    context.require_equal(past[3], width);
  });
  return past[2] + sizes.keys;
}

// ONNX's Attention: Q K V mask? past_key? past_value? lengths?
//   -> Y, present_key?, present_value?, scores?
void infer_attention(InferenceContext& context) {
  const Value& q = float_input(context, 0);
  AttentionSizes sizes =
      attention_sizes(context, heads_of(context, 0, "q_num_heads"),
                      heads_of(context, 1, "kv_num_heads"), heads_of(context, 2, "kv_num_heads"));
  if (context.has_input(4) != context.has_input(5))
    bad_input("past_key and past_value must be given together");
  if (context.has_input(4)) {
    const Dim keys = with_past(context, 4, sizes, sizes.width);
    sizes.keys = context.require_equal(keys, with_past(context, 5, sizes, sizes.value_width));
  }
  if (context.has_input(3)) check_mask(context, 3, sizes);
  if (context.has_input(6)) {
    typed_input(context, 6, DType::i64);
    require_vector(context, 6, sizes.batch);
  }
  if (q.shape.size() == 4) {
    context.set_output(0, q.dtype, {sizes.batch, sizes.q_heads, sizes.queries, sizes.value_width});
  } else {
    context.set_output(0, q.dtype, {sizes.batch, sizes.queries, sizes.q_heads * sizes.value_width});
  }
  const DimShape others[] = {{sizes.batch, sizes.kv_heads, sizes.keys, sizes.width},
                             {sizes.batch, sizes.kv_heads, sizes.keys, sizes.value_width},
                             {sizes.batch, sizes.q_heads, sizes.queries, sizes.keys}};
  for (std::size_t i = 1; i < context.output_count(); ++i)
    context.set_output(i, i == 2 ? context.input(2).dtype : q.dtype, others[i - 1]);
}

// Head h of a row of `index` begins at offset + h * stride; all must lie inside the width.
void check_heads_inside(const InferenceContext& context, std::size_t index,
                        const std::string& prefix, std::int64_t heads, std::int64_t width) {
  const std::int64_t offset = context.attributes().get_int(prefix + "_offset", 0);
  const std::int64_t stride = context.attributes().get_int(prefix + "_head_stride", width);
  require_min_rank(context, index, 1);
  const Dim& row = context.input(index).shape.back();
  std::int64_t end = 0;
  if (offset < 0 || stride < 0 || __builtin_mul_overflow(heads - 1, stride, &end) ||
      __builtin_add_overflow(end, offset, &end) || __builtin_add_overflow(end, width, &end) ||
      row.constant().value_or(end) < end) {
    bad_input("{} heads of {} elements from {} by {} do not lie in a row of {}", heads, width,
              offset, stride, row.to_string());
  }
}

// The type to which the numbers that enter products may be rounded.
void check_precision(const InferenceContext& context) {
  const std::string precision = context.attributes().get_string("precision", "fp32");
  if (precision != "fp32" && precision != "bf16")
    bad_input("precision \"{}\", expected \"fp32\" or \"bf16\"", precision);
}

// Rows: q [B, S, width], k and v [B, T, width], mask? -> [B, S, q_heads * head_dim]; the heads lie
// in the rows as in tenon.CachedAttention.
void infer_row_attention(InferenceContext& context) {
  const Value& q = float_input(context, 0);
  const std::int64_t q_heads = positive(context, "q_heads");
  const std::int64_t kv_heads = positive(context, "kv_heads");
  const std::int64_t width = positive(context, "head_dim");
  require_grouped(Dim(q_heads), Dim(kv_heads));
  for (std::size_t i = 0; i < 3; ++i) {
    require_rank(context, i, 3);
    float_input(context, i);
    with_context("batches of Q, K and V",
                 [&] { context.require_equal(q.shape[0], context.input(i).shape[0]); });
  }
  check_heads_inside(context, 0, "q", q_heads, width);
  check_heads_inside(context, 1, "k", kv_heads, width);
  check_heads_inside(context, 2, "v", kv_heads, width);
  const Dim keys = with_context("tokens of K and V", [&] {
    return context.require_equal(context.input(1).shape[1], context.input(2).shape[1]);
  });
  if (context.has_input(3)) {
    const Dim dim(width);
    check_mask(context, 3, {q.shape[0], Dim(q_heads), Dim(kv_heads), q.shape[1], keys, dim, dim});
  }
  context.set_output(0, q.dtype, {q.shape[0], q.shape[1], Dim(q_heads) * Dim(width)});
}

// q [B, Hq, S, D], k [B, Hkv, T, D], v [B, Hkv, T, Dv], mask? -> [B, Hq, S, Dv]; or rows.
void infer_plain_attention(InferenceContext& context) {
  check_precision(context);
  if (context.input(0).shape.size() == 3) return infer_row_attention(context);
  for (std::size_t i = 0; i < 3; ++i) require_rank(context, i, 4);
  const AttentionSizes sizes = attention_sizes(context, heads_of(context, 0, ""),
                                               heads_of(context, 1, ""), heads_of(context, 2, ""));
  if (context.has_input(3)) check_mask(context, 3, sizes);
  context.set_output(0, context.input(0).dtype,
                     {sizes.batch, sizes.q_heads, sizes.queries, sizes.value_width});
}

// q, k, v: [..., width], cos?, sin? [..., rotary_dim / 2] -> [..., q_heads * head_dim]
void infer_cached_attention(InferenceContext& context) {
  const Value& q = typed_input(context, 0, DType::f32);
  const std::int64_t q_heads = positive(context, "q_heads");
  const std::int64_t kv_heads = positive(context, "kv_heads");
  const std::int64_t width = positive(context, "head_dim");
  require_grouped(Dim(q_heads), Dim(kv_heads));
  check_heads_inside(context, 0, "q", q_heads, width);
  check_heads_inside(context, 1, "k", kv_heads, width);
  check_heads_inside(context, 2, "v", kv_heads, width);
  const std::int64_t rotated = context.attributes().get_int("rotary_dim", 0);
  if (rotated < 0 || rotated > width || rotated % 2 != 0)
    bad_input("rotary_dim is {}, expected an even number up to {}", rotated, width);
  if ((rotated > 0) != context.has_input(3) || (rotated > 0) != context.has_input(4))
    bad_input("cos and sin are expected exactly when rotary_dim ({}) is not 0", rotated);
  for (std::size_t i = 3; i < 5 && rotated > 0; ++i) {
    typed_input(context, i, DType::f32);
    require_min_rank(context, i, 1);
    context.require_equal(context.input(i).shape.back(), Dim(rotated / 2));
  }
  const std::string cache = context.attributes().get_string("cache_dtype", "fp32");
  if (cache != "fp32" && cache != "bf16")
    bad_input("cache_dtype \"{}\", expected \"fp32\" or \"bf16\"", cache);
  DimShape shape = q.shape;
  shape.back() = Dim(q_heads) * Dim(width);
  context.set_output(0, DType::f32, std::move(shape));
}

const OpSchema kOps[] = {
    {"RotaryEmbedding",
     23,
     3,
     4,
     1,
     1,
     {"interleaved", "num_heads", "rotary_embedding_dim"},
     infer_rotary},
    {"Attention",
     24,
     3,
     7,
     1,
     4,
     {"is_causal", "kv_num_heads", "q_num_heads", "qk_matmul_output_mode", "scale", "softcap",
      "softmax_precision"},
     infer_attention},
    {"tenon.Attention",
     0,
     3,
     4,
     1,
     1,
     {"scale", "is_causal", "precision", "q_heads", "kv_heads", "head_dim", "q_offset",
      "q_head_stride", "k_offset", "k_head_stride", "v_offset", "v_head_stride"},
     infer_plain_attention},
    {"tenon.CachedAttention",
     0,
     3,
     5,
     1,
     1,
     {"layer", "q_heads", "kv_heads", "head_dim", "rotary_dim", "interleaved", "scale", "q_offset",
      "q_head_stride", "k_offset", "k_head_stride", "v_offset", "v_head_stride", "cache_dtype"},
     infer_cached_attention},
};

}  // namespace

std::span<const OpSchema> attention_ops() { return kOps; }

}  // namespace tenon::graph::ops
