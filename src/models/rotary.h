// Rotary position embedding: frequencies as each scaling rule defines them, and their place in a
// graph.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace tenon::models {

/// Formulas: transformers' modeling_rope_utils (default, linear, dynamic, llama3, yarn).
struct Rotary {
  std::int64_t dim = 0;           ///< rotated elements of a head, even
  std::vector<float> inv_freq;    ///< [dim / 2]
  float attention_factor = 1.0F;  ///< multiplies cos and sin
  /// Set for "dynamic": frequencies follow the longest position of the run.
  struct Dynamic {
    float theta;
    float factor;
    float original_length;
  };
  std::optional<Dynamic> dynamic;
};

/// Reads rope_theta or rotary_emb_base, rope_scaling or rope_parameters. Error(bad_input) names a
/// scaling rule that is not supported and fields that it lacks.
Rotary read_rotary(const Json& config, std::int64_t rotary_dim, double default_theta);

}  // namespace tenon::models
