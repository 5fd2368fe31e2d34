// Engines of a source, ready to run.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "bundle/bundle.h"
#include "engine/engine.h"
#include "model_source.h"
#include "passes/target.h"
#include "planner/planner.h"
#include "size_profile.h"

namespace tenon::apps {

/// With what stands beside them.
struct Model {
  std::string name;
  SourceKind kind = SourceKind::checkpoint;
  bundle::Engines engines;
  bundle::Contents contents;
  std::map<std::string, planner::CompileReport> reports;  ///< by part; empty for a bundle

  bool draws() const { return engines.contains("unet"); }
  /// The only engine. Error(usage) names the parts of a model that has several.
  const std::shared_ptr<const engine::Engine>& engine() const;
};

/// Compiles all parts of a source. `options.name`, `context_length` and `profiles` are filled in:
/// the sizes by `profile`, and where it says nothing, those that a picture model was trained at.
bundle::Engines compile_parts(const ModelSource& source, const bundle::Files& files,
                              planner::CompileOptions options, const SizeProfile& profile,
                              planner::ConstantStore& store,
                              std::map<std::string, planner::CompileReport>& reports);

/// How the graphs of checkpoints are built that are run here: with fractions of timesteps and all
/// layers of the text encoder.
models::BuildOptions run_options();

/// One part of a source, in memory.
std::shared_ptr<const engine::Engine> compile_part(const ModelSource& source,
                                                   const std::string& part, const Target& target,
                                                   int threads);
/// The same with its weights in the store.
std::shared_ptr<const engine::Engine> compile_part(const ModelSource& source,
                                                   const std::string& part, const Target& target,
                                                   int threads, planner::ConstantStore& store);

/// Compiles a checkpoint or ONNX model in memory, or opens a bundle (which is as it was built:
/// `target` does not matter then).
Model load_model(const std::filesystem::path& path, const Target& target, int threads,
                 bundle::Weights weights = bundle::Weights::checked);

/// Positions that config.json among the files says the model takes; 0 when it does not say, or the
/// rotary angles follow any length.
std::int64_t context_length_of(const bundle::Files& files);

}  // namespace tenon::apps
