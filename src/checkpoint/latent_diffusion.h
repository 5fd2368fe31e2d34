// Picture models in one file, as their first releases had them: all networks under the names of the
// training code, and no configuration.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace tenon::checkpoint {

struct LatentDiffusionFile {
  std::map<std::string, Checkpoint> parts;  ///< text_encoder, unet, vae, under diffusers' names
  std::map<std::string, std::string> side_files;  ///< configurations that were made
  std::vector<std::string> notes;                 ///< what was passed over
  std::vector<std::string> warnings;              ///< what had to be assumed
  std::filesystem::path original_config;          ///< the YAML file that was read; may be empty
};

bool is_latent_diffusion(const WeightMap& weights);

/// `original_config`: its YAML file; empty for the one beside it that has its name. `prediction`:
/// what the network predicts, when it is known; a network of the second generation does not show
/// it. Error(bad_input) names a tensor that is missing or of an unexpected form.
LatentDiffusionFile read_latent_diffusion(const std::filesystem::path& path,
                                          const std::filesystem::path& original_config,
                                          const std::string& prediction);

}  // namespace tenon::checkpoint
