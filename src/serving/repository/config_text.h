// Configurations of models as text: config.pbtxt, and the JSON that clients send.
#pragma once

#include <string>
#include <string_view>

#include <model_config.pb.h>

namespace tenon::serving {

inline constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20;

/// Protobuf's text format. Error(bad_input) names line and column of what is malformed, unknown,
/// given twice (also as key of a map) or nested beyond 32 levels; `where` names the file.
inference::ModelConfig parse_config_text(std::string_view text, const std::string& where);
/// The same from JSON, by the names of the fields as in the text format or in lower camel case.
inference::ModelConfig parse_config_json(std::string_view text, const std::string& where);

/// As parse_config_text reads it.
std::string config_text(const inference::ModelConfig& config);

}  // namespace tenon::serving
