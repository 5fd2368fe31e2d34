// What lies in the folder of a model: its configuration and its versions.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <model_config.pb.h>

namespace tenon::serving {

struct VersionFolder {
  std::string version;
  std::filesystem::path path;
};

struct ModelFolder {
  std::vector<VersionFolder> versions;  ///< the oldest first
  /// Folders that look like versions and are none, each with the reason.
  std::vector<std::pair<std::string, std::string>> refused;
};

/// The folders of versions: numbers from 1 to 2^63 - 1 without leading zeros. Other names are not
/// looked at. Error(bad_input) when there is none.
ModelFolder scan_model(const std::filesystem::path& folder);

/// config.pbtxt of the folder; nothing when there is none.
std::optional<inference::ModelConfig> read_config(const std::filesystem::path& folder);

/// Those that the policy asks for: the newest one when it says nothing. Error(bad_input) names a
/// version that is asked for and not there.
std::vector<VersionFolder> choose_versions(const std::vector<VersionFolder>& there,
                                           const inference::ModelVersionPolicy& policy);

/// What in a version's folder is the model: `file` when it is given, else model.tenon, model.onnx
/// or the folder itself, as a checkpoint or an exported one. Error(bad_input) says what was found.
std::filesystem::path content_of(const std::filesystem::path& version, const std::string& file);

}  // namespace tenon::serving
