// What of a configuration is honoured: everything else is refused by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <model_config.pb.h>

namespace tenon::serving {

/// Error(bad_input) names the first field that is not honoured or out of its range, and what to do.
/// What needs the model itself (names and sizes of tensors) is checked when it is there.
/// docs/repository.md lists the fields.
void check_supported(const inference::ModelConfig& config);

/// What `parameters` of a configuration say.
struct ConfigParameters {
  std::optional<std::int64_t> cache_tokens;
  std::optional<std::int64_t> max_queue_size;
  std::optional<bool> batch_invariant;
  std::optional<std::string> precision;
};
/// Error(bad_input) as check_supported.
ConfigParameters parameters_of(const inference::ModelConfig& config);

/// Whether the inputs are those of a plain model: then a model that could write text is served as
/// tensors.
bool asks_for_tensors(const inference::ModelConfig& config);

}  // namespace tenon::serving
