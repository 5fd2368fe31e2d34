// The numbers of Meta's params.json, and the configuration that they stand for.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/json.h"
#include "tensor/tensor.h"

namespace tenon::checkpoint {

struct MetaParams {
  std::int64_t dim = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t hidden = 0;  ///< of the feed-forward layer, by multiple_of and ffn_dim_multiplier
  std::int64_t vocabulary = 0;  ///< 0 when params.json leaves it to the embedding
  double norm_epsilon = 0;
  double rope_theta = 0;
  std::int64_t max_positions = 0;
  double rope_factor = 0;  ///< of the llama3 scaling; 0 without scaling
};

/// Checks that the numbers are in range and divide as they must.
MetaParams parse_meta_params(const Json& params);

/// `params` with a vocabulary, in the Hugging Face form.
Json meta_config(const MetaParams& params, DType dtype, bool tied_embeddings);

}  // namespace tenon::checkpoint
