// The models that `tenon serve` is started with: sources, folders of models, and who loads what
// when.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "serving/model_registry.h"
#include "serving/repository/repository_watch.h"

namespace tenon::apps {

struct ModelFlags {
  std::vector<std::string> sources;  ///< SRC, NAME=SRC or a folder of models
  std::string precision = "bf16";
  serving::ModelOptions model;
  std::string control = "none";
  std::int64_t poll_secs = 0;  ///< 0: not given
  std::vector<std::string> load;
  bool strict_readiness = true;
  bool exit_on_error = true;
};
void add_model_flags(CLI::App& command, ModelFlags& flags);

class ModelsToServe {
 public:
  /// Makes names known; nothing is loaded yet. Error(usage) for flags or names that do not fit
  /// together, Error(bad_input) for a source that is not there.
  ModelsToServe(const ModelFlags& flags, int threads);

  const std::shared_ptr<serving::ModelRegistry>& registry() const { return registry_; }
  /// Loads what is to be there from the start, one after the other, then follows the folders where
  /// that was asked for. `quiet`: no line for each model. Error when a model fails, unless the
  /// flags say to go on without it; Error(interrupted) as of check_interrupt.
  void load(bool quiet);
  /// Loads under way end, and no other begins.
  void stop();

 private:
  void add_source(const std::string& source, const serving::OpenModel& open);
  void expect_models();

  ModelFlags flags_;
  std::shared_ptr<serving::ModelRegistry> registry_ = std::make_shared<serving::ModelRegistry>();
  std::vector<std::filesystem::path> folders_;
  std::vector<std::string> single_;  // names of sources that are one model
  std::shared_ptr<serving::Repository> repository_;
  std::unique_ptr<serving::RepositoryWatch> watch_;
};

}  // namespace tenon::apps
