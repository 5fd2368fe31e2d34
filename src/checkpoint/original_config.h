// The YAML file that the training code of latent diffusion models was started with: the few facts
// of it that weights do not show.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace tenon::checkpoint {

struct OriginalConfig {
  bool present = false;
  std::string parameterization = "eps";  ///< "eps", "v" or "x0"
  std::optional<std::int64_t> heads;     ///< of attention, the same for all blocks
  std::optional<std::int64_t> head_dim;  ///< or the width of each head
  double beta_start = 0.00085;
  double beta_end = 0.012;
  std::int64_t train_steps = 1000;
  double latent_scale = 0.18215;
};

/// `wanted` when it is not empty, else MODEL.yaml beside MODEL.safetensors if that exists, else an
/// empty path. Error(bad_input) when `wanted` does not exist.
std::filesystem::path find_original_config(const std::filesystem::path& weights,
                                           const std::filesystem::path& wanted);

/// Defaults of the first release for an empty path. Error(bad_input) names the field.
OriginalConfig read_original_config(const std::filesystem::path& path);

/// One YAML document of maps, lists and scalars as JSON: numbers and booleans by their look, all
/// else as text. Refuses aliases, duplicate keys, nesting beyond 64 and more than 100,000
/// values; Error(bad_input) names the line.
Json parse_yaml(std::string_view text, std::string_view where);

}  // namespace tenon::checkpoint
