#include "models/gpt_neox.h"

#include "base/error.h"
#include "models/decoder_builder.h"

namespace tenon::models {
namespace {

constexpr std::int64_t kMaxSize = std::int64_t{1} << 24;

DecoderShape read_shape(const Json& config) {
  DecoderShape shape;
  shape.layers = get_int(config, "num_hidden_layers", 1, 4096);
  shape.hidden = get_int(config, "hidden_size", 1, kMaxSize);
  shape.heads = get_int(config, "num_attention_heads", 1, kMaxSize);
  shape.kv_heads = shape.heads;
  shape.vocabulary = get_int(config, "vocab_size", 1, kMaxSize);
  if (shape.hidden % shape.heads != 0) {
    bad_input("hidden_size {} is not a multiple of num_attention_heads {}", shape.hidden,
              shape.heads);
  }
  shape.head_dim = shape.hidden / shape.heads;
  return shape;
}

}  // namespace

graph::Graph build_gpt_neox(const Json& config, const Weights& weights,
                            const BuildOptions& options) {
  const DecoderShape shape = read_shape(config);
  const std::int64_t inner = get_int(config, "intermediate_size", 1, kMaxSize);
  const double epsilon = get_number(config, "layer_norm_eps", 1e-5);
  const bool bias = get_bool(config, "attention_bias", true);
  const bool parallel = get_bool(config, "use_parallel_residual", true);
  const std::string activation = get_string(config, "hidden_act", "gelu");
  // Newer configs keep it with the other rotary parameters.
  const Json* rotary = find_field(config, "rope_parameters");
  const double nested =
      rotary == nullptr ? 0.25 : get_number(*rotary, "partial_rotary_factor", 0.25);
  const double rotated =
      get_number(config, "rotary_pct", get_number(config, "partial_rotary_factor", nested));
  const auto rotary_dim = static_cast<std::int64_t>(static_cast<double>(shape.head_dim) * rotated);
  DecoderBuilder builder(shape, read_rotary(config, rotary_dim, 10000.0), weights, options);

  ValueId hidden = builder.embed("gpt_neox.embed_in");
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    const std::string module = fmt::format("gpt_neox.layers.{}", layer);
    const std::string attention = module + ".attention";
    const ValueId x = builder.layer_norm(module + ".input_layernorm", hidden, epsilon);
    const ValueId fused =
        builder.linear(attention + ".query_key_value", x, shape.hidden, 3 * shape.hidden, bias);
    const ValueId heads = builder.split_heads(attention, fused, shape.heads, 3 * shape.head_dim);
    const auto qkv = builder.split_qkv(attention, heads);
    const ValueId mixed = builder.attend(attention, layer, qkv[0], qkv[1], qkv[2]);
    const ValueId attended =
        builder.linear(attention + ".dense", mixed, shape.hidden, shape.hidden, bias);

    const ValueId residual = parallel ? hidden : builder.add(module, attended, hidden);
    const ValueId z = builder.layer_norm(module + ".post_attention_layernorm", residual, epsilon);
    const ValueId wide = builder.activation(
        module + ".mlp.act", activation,
        builder.linear(module + ".mlp.dense_h_to_4h", z, shape.hidden, inner, true));
    const ValueId narrow =
        builder.linear(module + ".mlp.dense_4h_to_h", wide, inner, shape.hidden, true);
    hidden = parallel ? builder.add(module, builder.add(module, narrow, attended), hidden)
                      : builder.add(module, narrow, residual);
  }
  const ValueId normed = builder.layer_norm("gpt_neox.final_layer_norm", hidden, epsilon);
  return builder.finish("embed_out", normed, get_bool(config, "tie_word_embeddings", false), false);
}

}  // namespace tenon::models
