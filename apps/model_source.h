// SRC of the commands: a checkpoint, an ONNX folder or file, or a bundle.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/diffusion.h"
#include "graph/graph.h"
#include "models/model.h"

namespace tenon::apps {

enum class SourceKind { checkpoint, onnx, bundle };

/// By what stands there; Error(bad_input) when it is none of them.
SourceKind detect_source(const std::filesystem::path& path);
std::string_view source_kind_name(SourceKind kind);

/// What is called SRC, or NAME=SRC where no file or folder has that whole name.
struct NamedSource {
  std::string name;    ///< as given, else that of the folder, else that of the file without ending
  bool given = false;  ///< whether there was NAME=
  std::filesystem::path path;
};
NamedSource named_source(const std::string& text);

/// A checkpoint or an ONNX model: its graphs by the part that each plays, and what stands beside
/// them. Weights stay mapped as long as it or a graph of it lives.
class ModelSource {
 public:
  /// Error(usage) for a bundle, which holds no graph, and for pooling of what is no checkpoint of a
  /// decoder; Error(bad_input) for what cannot be read.
  static ModelSource open(const std::filesystem::path& path,
                          models::Pooling pooling = models::Pooling::none);

  const std::filesystem::path& path() const { return path_; }
  SourceKind kind() const { return kind_; }
  /// Of the folder, or of the file without its ending.
  std::string name() const;
  /// Whether the parts draw pictures together.
  bool draws() const { return parts_.front() != bundle::kModel; }
  /// bundle::kModel alone, or the parts of a picture model (models::component_names()), in the
  /// order in which they run.
  const std::vector<std::string>& parts() const { return parts_; }
  /// Options count for checkpoints only, and their pooling is that of `open`. Error(bad_input)
  /// names what is not supported.
  graph::Graph graph(const std::string& part, const models::BuildOptions& options = {}) const;
  /// Of a model that is one graph. Error(usage) names the parts of one that is several.
  graph::Graph graph(const models::BuildOptions& options = {}) const;

  /// Null unless it is a checkpoint of one model, or of a picture model.
  const checkpoint::Checkpoint* checkpoint() const { return checkpoint_ ? &*checkpoint_ : nullptr; }
  const checkpoint::DiffusionCheckpoint* diffusion() const {
    return diffusion_ ? &*diffusion_ : nullptr;
  }
  /// Small files beside the model, by path: tokenizer, templates, configs.
  bundle::Files side_files() const;
  /// Those that it was read from, sorted where they stand in a folder: weights and configurations
  /// of a checkpoint, all of an ONNX folder, an ONNX file alone.
  std::vector<std::filesystem::path> files() const;
  /// What a build writes down of where it came from. Hashes every file of the source.
  Json provenance() const;

 private:
  ModelSource() = default;

  std::filesystem::path path_;
  SourceKind kind_ = SourceKind::checkpoint;
  models::Pooling pooling_ = models::Pooling::none;
  std::vector<std::string> parts_;
  std::optional<checkpoint::Checkpoint> checkpoint_;
  std::optional<checkpoint::DiffusionCheckpoint> diffusion_;
};

/// Small files of a bundle, or of a folder that need not hold a model.
bundle::Files side_files(const std::filesystem::path& path);

/// Error(usage) "has the parts ..., not one model", with what a picture model can be used for.
[[noreturn]] void refuse_parts(const std::string& source, const std::vector<std::string>& parts);

}  // namespace tenon::apps
