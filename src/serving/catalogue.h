// What may be loaded: models by name, and for each the versions that a load would bring.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "serving/served_model.h"

namespace tenon::serving {

/// No model, or no such version of it, is ready or known under this name. Its code is `usage`.
class UnknownModel : public Error {
 public:
  explicit UnknownModel(std::string message) : Error(ErrorCode::usage, std::move(message)) {}
};

/// How a client wants a model loaded where that is not as it lies there.
struct LoadParameters {
  /// JSON of inference::ModelConfig, which takes the place of config.pbtxt; empty: none.
  std::string config;
  /// "1/model.onnx" -> bytes: all that the model then consists of. They need a config.
  std::map<std::string, std::string> files;

  bool empty() const { return config.empty() && files.empty(); }
};

struct VersionPlan {
  std::string version;  ///< a number from 1 to 2^63 - 1 without leading zeros
  /// Of the files and settings that it is made of: equal when nothing has changed. May be empty.
  std::string stamp;
  /// Loads the version and runs it once. Takes as long as that takes.
  std::function<std::shared_ptr<ServedModel>()> make;
};

struct LoadPlan {
  std::vector<VersionPlan> versions;  ///< one at least, the oldest first
  /// What lies beside them and cannot be meant as a version: name and why.
  std::vector<std::pair<std::string, std::string>> refused;
};

/// Any number of threads.
class Catalogue {
 public:
  virtual ~Catalogue() = default;
  /// As they lie there now.
  virtual std::vector<std::string> names() = 0;
  /// Reads the configuration and no weights. UnknownModel when nothing of this name lies there;
  /// Error(bad_input) says what is wrong with what does.
  virtual LoadPlan plan(const std::string& name, const LoadParameters& parameters) = 0;
};

}  // namespace tenon::serving
