#include "models/llama.h"

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
  shape.kv_heads = get_int(config, "num_key_value_heads", 1, kMaxSize, shape.heads);
  shape.vocabulary = get_int(config, "vocab_size", 1, kMaxSize);
  if (find_field(config, "head_dim") == nullptr && shape.hidden % shape.heads != 0) {
    bad_input("hidden_size {} is not a multiple of num_attention_heads {}", shape.hidden,
              shape.heads);
  }
  shape.head_dim = get_int(config, "head_dim", 1, kMaxSize, shape.hidden / shape.heads);
  if (shape.heads % shape.kv_heads != 0) {
    bad_input("num_attention_heads {} is not a multiple of num_key_value_heads {}", shape.heads,
              shape.kv_heads);
  }
  return shape;
}

}  // namespace

graph::Graph build_llama(const Json& config, const Weights& weights, const BuildOptions& options) {
  const DecoderShape shape = read_shape(config);
  const std::int64_t inner = get_int(config, "intermediate_size", 1, kMaxSize);
  const double epsilon = get_number(config, "rms_norm_eps", 1e-6);
  const bool attention_bias = get_bool(config, "attention_bias", false);
  const bool mlp_bias = get_bool(config, "mlp_bias", false);
  const std::string activation = get_string(config, "hidden_act", "silu");
  DecoderBuilder builder(shape, read_rotary(config, shape.head_dim, 10000.0), weights, options);

  ValueId hidden = builder.embed("model.embed_tokens");
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    const std::string module = fmt::format("model.layers.{}", layer);
    const std::string attention = module + ".self_attn";
    const std::string mlp = module + ".mlp";
    const ValueId x = builder.rms_norm(module + ".input_layernorm", hidden, epsilon);
    const auto project = [&](const char* name, std::int64_t heads) {
      const ValueId y =
          builder.linear(attention + name, x, shape.hidden, heads * shape.head_dim, attention_bias);
      return builder.split_heads(attention, y, heads, shape.head_dim);
    };
    const ValueId q = project(".q_proj", shape.heads);
    const ValueId k = project(".k_proj", shape.kv_heads);
    const ValueId v = project(".v_proj", shape.kv_heads);
    const ValueId mixed = builder.attend(attention, layer, q, k, v);
    hidden = builder.add(module, hidden,
                         builder.linear(attention + ".o_proj", mixed, shape.heads * shape.head_dim,
                                        shape.hidden, attention_bias));
    const ValueId z = builder.rms_norm(module + ".post_attention_layernorm", hidden, epsilon);
    const ValueId gate =
        builder.activation(mlp + ".act_fn", activation,
                           builder.linear(mlp + ".gate_proj", z, shape.hidden, inner, mlp_bias));
    const ValueId up = builder.linear(mlp + ".up_proj", z, shape.hidden, inner, mlp_bias);
    const ValueId down = builder.linear(mlp + ".down_proj", builder.multiply(mlp, gate, up), inner,
                                        shape.hidden, mlp_bias);
    hidden = builder.add(module, hidden, down);
  }
  const ValueId normed = builder.rms_norm("model.norm", hidden, epsilon);
  return builder.finish("lm_head", normed, get_bool(config, "tie_word_embeddings", false), false);
}

}  // namespace tenon::models
