#include "checkpoint/meta_params.h"

#include <cmath>

#include "base/error.h"

namespace tenon::checkpoint {
namespace {

constexpr std::int64_t kMaxDim = 1 << 20;
constexpr std::int64_t kMaxVocabulary = 1 << 24;
constexpr std::int64_t kLlama3Vocabulary = 128256;

double positive(const Json& params, const char* key, double fallback) {
  const double value = get_number(params, key, fallback);
  if (!(value > 0 && std::isfinite(value))) {
    bad_input("field \"{}\" is {}, a positive number was expected", key, value);
  }
  return value;
}

// Two thirds of four times the width, scaled, up to a multiple: Meta's own arithmetic, which cuts
// to an integer at each step.
std::int64_t hidden_size(const Json& params, std::int64_t dim) {
  const std::int64_t multiple = get_int(params, "multiple_of", 1, kMaxDim, 256);
  const double factor = positive(params, "ffn_dim_multiplier", 1.0);
  const double scaled = factor * static_cast<double>(2 * (4 * dim) / 3);
  if (scaled > static_cast<double>(64 * kMaxDim)) {
    bad_input("field \"ffn_dim_multiplier\" is {}: the feed-forward layer gets too wide", factor);
  }
  const auto hidden = static_cast<std::int64_t>(scaled);
  return (hidden + multiple - 1) / multiple * multiple;
}

std::int64_t max_positions(const Json& params, double theta, double epsilon, bool scaled) {
  std::int64_t positions = 4096;
  if (scaled) {
    positions = 131072;
  } else if (theta == 500000.0) {
    positions = 8192;
  } else if (theta == 1000000.0) {
    positions = 16384;
  } else if (epsilon < 5e-6) {
    positions = 2048;
  }
  return get_int(params, "max_seq_len", 1, 1 << 28, positions);
}

}  // namespace

MetaParams parse_meta_params(const Json& params) {
  MetaParams parsed;
  parsed.dim = get_int(params, "dim", 1, kMaxDim);
  parsed.layers = get_int(params, "n_layers", 1, 4096);
  parsed.heads = get_int(params, "n_heads", 1, kMaxDim);
  parsed.kv_heads = get_int(params, "n_kv_heads", 1, kMaxDim, parsed.heads);
  if (parsed.dim % parsed.heads != 0 || parsed.dim / parsed.heads % 2 != 0) {
    bad_input("dim {} over n_heads {} gives no even head size", parsed.dim, parsed.heads);
  }
  if (parsed.heads % parsed.kv_heads != 0) {
    bad_input("n_heads {} is no multiple of n_kv_heads {}", parsed.heads, parsed.kv_heads);
  }
  parsed.head_dim = parsed.dim / parsed.heads;
  parsed.hidden = hidden_size(params, parsed.dim);
  parsed.vocabulary =
      std::max<std::int64_t>(get_int(params, "vocab_size", -1, kMaxVocabulary, -1), 0);
  parsed.norm_epsilon = positive(params, "norm_eps", 1e-5);
  parsed.rope_theta = positive(params, "rope_theta", 10000.0);
  const bool scaled = get_bool(params, "use_scaled_rope", false);
  parsed.max_positions = max_positions(params, parsed.rope_theta, parsed.norm_epsilon, scaled);
  if (scaled) {
    const bool small = parsed.dim == 2048 || parsed.dim == 3072;
    parsed.rope_factor = positive(params, "rope_scaling_factor", small ? 32.0 : 8.0);
  }
  return parsed;
}

Json meta_config(const MetaParams& params, DType dtype, bool tied_embeddings) {
  const bool llama3 = params.vocabulary == kLlama3Vocabulary;
  Json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", "llama"},
                 {"hidden_act", "silu"},
                 {"hidden_size", params.dim},
                 {"intermediate_size", params.hidden},
                 {"num_hidden_layers", params.layers},
                 {"num_attention_heads", params.heads},
                 {"num_key_value_heads", params.kv_heads},
                 {"head_dim", params.head_dim},
                 {"rms_norm_eps", params.norm_epsilon},
                 {"vocab_size", params.vocabulary},
                 {"rope_theta", params.rope_theta},
                 {"max_position_embeddings", params.max_positions},
                 {"attention_bias", false},
                 {"mlp_bias", false},
                 {"tie_word_embeddings", tied_embeddings},
                 {"bos_token_id", llama3 ? 128000 : 1},
                 {"eos_token_id", llama3 ? 128001 : 2}};
  config["torch_dtype"] = dtype == DType::bf16  ? "bfloat16"
                          : dtype == DType::f16 ? "float16"
                                                : "float32";
  if (params.rope_factor > 0) {
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", params.rope_factor},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192}};
  }
  return config;
}

}  // namespace tenon::checkpoint
