// Configurations of the networks of a single file, derived from the shapes of their weights.
#pragma once

#include <string>

#include "base/json.h"
#include "checkpoint/original_config.h"
#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {

struct LatentDiffusionFacts {
  Json unet_config;
  std::string prediction_type;  ///< epsilon, v_prediction or sample
  bool second_generation = false;
  std::int64_t sample_size = 64;  ///< latents of the pictures that it was trained on, each way
  std::string warning;            ///< set when the prediction type had to be assumed
};

/// All take weights under diffusers' names; Error(bad_input) names a tensor that is missing.
/// `prediction` goes before the YAML file, which goes before what is usual.
LatentDiffusionFacts unet_facts(const WeightMap& unet, const OriginalConfig& original,
                                const std::string& prediction);
Json vae_config(const WeightMap& vae, const OriginalConfig& original,
                const LatentDiffusionFacts& facts);
Json text_config(const WeightMap& text, bool open_clip);
/// As the published repositories of the first and the second generation have it.
Json scheduler_config(const OriginalConfig& original, const LatentDiffusionFacts& facts);

}  // namespace tenon::checkpoint
