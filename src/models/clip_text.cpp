#include "models/clip_text.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "models/config_fields.h"
#include "models/module_builder.h"

namespace tenon::models {
namespace {

// Before transformers 4.31 configs said 2 whatever the tokenizer's end token was.
constexpr std::int64_t kLegacyEndToken = 2;
constexpr std::int64_t kMaxLayers = 4096;

struct ClipShape {
  std::int64_t vocabulary, hidden, inner, layers, heads, positions, projection, end_token;
  double epsilon;
  std::string activation;
};

ClipShape read_shape(const Json& config) {
  ClipShape shape{};
  shape.vocabulary = get_int(config, "vocab_size", 1, kMaxWidth, 49408);
  shape.hidden = get_int(config, "hidden_size", 1, kMaxWidth, 512);
  shape.inner = get_int(config, "intermediate_size", 1, kMaxWidth, 2048);
  shape.layers = get_int(config, "num_hidden_layers", 1, kMaxLayers, 12);
  shape.heads = get_int(config, "num_attention_heads", 1, kMaxWidth, 8);
  shape.positions = get_int(config, "max_position_embeddings", 1, kMaxWidth, 77);
  shape.projection = get_int(config, "projection_dim", 1, kMaxWidth, 512);
  shape.end_token = get_int(config, "eos_token_id", 0, kMaxWidth, 49407);
  shape.epsilon = get_number(config, "layer_norm_eps", 1e-5);
  shape.activation = get_string(config, "hidden_act", "quick_gelu");
  if (shape.hidden % shape.heads != 0) {
    bad_input("hidden_size {} is not a multiple of num_attention_heads {}", shape.hidden,
              shape.heads);
  }
  return shape;
}

class ClipText {
 public:
  ClipText(const ClipShape& shape, const Weights& weights, const BuildOptions& options)
      : shape_(shape), builder_(weights, options) {}

  graph::Graph build(bool projection, bool hidden_states) {
    input_ids_ = builder_.input("input_ids", DType::i64,
                                {Dim::symbol("batch_size"), Dim::symbol("sequence_length")});
    std::vector<ValueId> states = {embed()};
    mask_ = causal_mask();
    for (std::int64_t layer = 0; layer < shape_.layers; ++layer)
      states.push_back(encoder_layer(layer, states.back()));
    const ValueId last = builder_.layer_norm("text_model.final_layer_norm", states.back(),
                                             shape_.hidden, shape_.epsilon);
    const ValueId pooled = pool(last);
    if (projection) {
      builder_.output(
          builder_.linear("text_projection", pooled, shape_.hidden, shape_.projection, false),
          "text_embeds");
      builder_.output(last, "last_hidden_state");
    } else {
      builder_.output(last, "last_hidden_state");
      builder_.output(pooled, "pooler_output");
    }
    for (std::size_t i = 0; hidden_states && i < states.size(); ++i)
      builder_.output(states[i], fmt::format("hidden_states.{}", i));
    return builder_.finish();
  }

 private:
  ValueId gather(const std::string& module, ValueId table, ValueId indices, std::int64_t axis) {
    return builder_.node(module, "Gather", {table, indices}, {{"axis", axis}});
  }

  // 0, 1, ... for every place of the sequence.
  ValueId places(const std::string& module) {
    const ValueId shape = builder_.node(module, "Shape", {input_ids_});
    const ValueId length = gather(module, shape, builder_.scalar(std::int64_t{1}), 0);
    return builder_.node(
        module, "Range",
        {builder_.scalar(std::int64_t{0}), length, builder_.scalar(std::int64_t{1})});
  }

  ValueId embed() {
    const std::string module = "text_model.embeddings";
    const ValueId tokens =
        builder_.weight(module + ".token_embedding.weight", {shape_.vocabulary, shape_.hidden});
    const ValueId positions =
        builder_.weight(module + ".position_embedding.weight", {shape_.positions, shape_.hidden});
    return builder_.add(module, gather(module + ".token_embedding", tokens, input_ids_, 0),
                        gather(module + ".position_embedding", positions,
                               places(module + ".position_embedding"), 0));
  }

  // Additive float32 [1, 1, sequence, sequence]: no token sees a later one.
  ValueId causal_mask() {
    const std::string module = "text_model";
    const ValueId all = places(module);
    const ValueId earlier =
        builder_.node(module, "LessOrEqual",
                      {builder_.node(module, "Unsqueeze", {all, builder_.ints({0, 1, 2})}),
                       builder_.node(module, "Unsqueeze", {all, builder_.ints({0, 1, 3})})});
    return builder_.node(
        module, "Where",
        {earlier, builder_.scalar(0.0F), builder_.scalar(std::numeric_limits<float>::lowest())});
  }

  ValueId attention(const std::string& module, ValueId x) {
    const std::int64_t width = shape_.hidden / shape_.heads;
    const auto heads = [&](const char* name) {
      const ValueId y = builder_.linear(module + name, x, shape_.hidden, shape_.hidden);
      return builder_.transpose(module, builder_.reshape(module, y, {0, 0, shape_.heads, width}),
                                {0, 2, 1, 3});
    };
    const ValueId q = heads(".q_proj");
    const ValueId k = heads(".k_proj");
    const ValueId v = heads(".v_proj");
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(width)));
    const ValueId scores = builder_.node(
        module, "MatMul",
        {builder_.multiply(module, q, scale), builder_.transpose(module, k, {0, 1, 3, 2})});
    const ValueId masked = builder_.add(module, builder_.cast(module, scores, DType::f32), mask_);
    const ValueId weights =
        builder_.node(module, "Softmax", {masked}, {{"axis", std::int64_t{-1}}});
    const ValueId mixed =
        builder_.node(module, "MatMul", {builder_.cast(module, weights, builder_.dtype()), v});
    const ValueId joined = builder_.reshape(module, builder_.transpose(module, mixed, {0, 2, 1, 3}),
                                            {0, 0, shape_.hidden});
    return builder_.linear(module + ".out_proj", joined, shape_.hidden, shape_.hidden);
  }

  ValueId encoder_layer(std::int64_t layer, ValueId x) {
    const std::string module = fmt::format("text_model.encoder.layers.{}", layer);
    const auto norm = [&](const char* name, ValueId value) {
      return builder_.layer_norm(module + name, value, shape_.hidden, shape_.epsilon);
    };
    x = builder_.add(module, x, attention(module + ".self_attn", norm(".layer_norm1", x)));
    const std::string mlp = module + ".mlp";
    const ValueId wide =
        builder_.linear(mlp + ".fc1", norm(".layer_norm2", x), shape_.hidden, shape_.inner);
    const ValueId active =
        builder_.activation(mlp + ".activation_fn", shape_.activation, wide, "hidden_act");
    return builder_.add(module, x,
                        builder_.linear(mlp + ".fc2", active, shape_.inner, shape_.hidden));
  }

  // [B, S, H] -> [B, H] at the end token of each sequence.
  ValueId pool(ValueId last) {
    const std::string module = "text_model";
    // int32: ArgMax over int64 is not implemented everywhere.
    ValueId keys = input_ids_;
    if (shape_.end_token != kLegacyEndToken)
      keys = builder_.node(module, "Equal", {keys, builder_.scalar(shape_.end_token)});
    keys = builder_.cast(module, keys, DType::i32);
    const ValueId place = builder_.node(
        module, "ArgMax", {keys}, {{"axis", std::int64_t{-1}}, {"keepdims", std::int64_t{1}}});
    return builder_.node(module, "GatherND", {last, place}, {{"batch_dims", std::int64_t{1}}});
  }

  ClipShape shape_;
  ModuleBuilder builder_;
  ValueId input_ids_ = kNoValue;
  ValueId mask_ = kNoValue;
};

}  // namespace

graph::Graph build_clip_text(const Json& config, const Weights& weights,
                             const BuildOptions& options, bool projection) {
  const bool hidden_states =
      options.hidden_states || get_bool(config, "output_hidden_states", false);
  return ClipText(read_shape(config), weights, options).build(projection, hidden_states);
}

}  // namespace tenon::models
