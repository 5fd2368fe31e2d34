// SRC of the commands: a checkpoint, an ONNX folder or file, or a bundle.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "bundle/bundle.h"
#include "checkpoint/checkpoint.h"
#include "engine/engine.h"
#include "graph/graph.h"
#include "passes/target.h"
#include "planner/planner.h"

namespace tenon::apps {

enum class SourceKind { checkpoint, onnx, bundle };

/// By what stands there; Error(bad_input) when it is none of them.
SourceKind detect_source(const std::filesystem::path& path);
std::string_view source_kind_name(SourceKind kind);

/// The graph of a checkpoint or an ONNX model, in fp32 unless asked otherwise. Error(usage) for a
/// bundle.
graph::Graph load_graph(const std::filesystem::path& path, DType dtype = DType::f32,
                        bool with_past = true);

/// Small files beside the model: tokenizer, templates, configs.
bundle::Files side_files(const std::filesystem::path& path);

/// The engine called bundle::kModel; Error(usage) names what there is instead.
const std::shared_ptr<const engine::Engine>& only_engine(const bundle::Engines& engines,
                                                         const std::string& source);

/// Engines ready to run, with what stands beside them.
struct Model {
  std::string name;
  SourceKind kind = SourceKind::checkpoint;
  bundle::Engines engines;
  bundle::Contents contents;
  planner::CompileReport report;  ///< empty for a bundle

  /// The only engine. Error(usage) names the parts of a model that has several.
  const std::shared_ptr<const engine::Engine>& engine() const { return only_engine(engines, name); }
};
/// Compiles a checkpoint or ONNX model in memory, or opens a bundle (which is as it was built:
/// `target` does not matter then).
Model load_model(const std::filesystem::path& path, const Target& target, int threads,
                 bundle::Weights weights = bundle::Weights::copied);

/// Positions that config.json among the files says the model takes; 0 when it does not say, or the
/// rotary angles follow any length.
std::int64_t context_length_of(const bundle::Files& files);
/// What a build writes down of where it came from. Hashes every file of the source.
Json provenance_of(const std::filesystem::path& path);

}  // namespace tenon::apps
