// One version of a model, from its files to what answers, run once.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "serving/make_model.h"

namespace tenon::serving {

struct OpenRequest {
  std::filesystem::path path;  ///< a bundle, a checkpoint, an ONNX file or folder
  std::string precision;       ///< fp32, bf16, int8; empty: the server's. Bundles have their own
  bool as_tensors = false;     ///< past and present stay inputs and outputs
};
struct OpenedModel {
  bundle::Engines engines;
  bundle::Files files;
};
/// Makes engines of a source. Any number of threads; throws Error.
using OpenModel = std::function<OpenedModel(const OpenRequest& request)>;

struct VersionSource {
  std::string name;
  std::string version = "1";
  std::filesystem::path path;
  std::filesystem::path folder;  ///< of the model, for the files of its configuration
  inference::ModelConfig config;
};

/// Opens, checks against the configuration, and warms. What `parameters` of the configuration say
/// goes before `options`.
std::shared_ptr<ServedModel> load_version(const VersionSource& source, const OpenModel& open,
                                          ModelOptions options);

}  // namespace tenon::serving
