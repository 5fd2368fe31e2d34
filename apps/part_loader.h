// The two sides of a comparison of models of several parts: engines one part at a time, so that
// only two stand in memory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model.h"

namespace tenon::apps {

/// Movable. A bundle's engines are mapped; those of a source are compiled when they are asked for.
class PartLoader {
 public:
  /// `target` does not matter for a bundle. Error as of load_model.
  PartLoader(const std::filesystem::path& path, const Target& target, int threads,
             models::Pooling pooling = models::Pooling::none);

  /// Whether the parts draw pictures together.
  bool draws() const;
  const std::vector<std::string>& parts() const { return parts_; }
  /// Those of both, in this one's order; only `wanted` when it is not empty. Error(usage) names the
  /// parts there are when it is none of them.
  std::vector<std::string> common_parts(const PartLoader& other, const std::string& wanted) const;
  std::shared_ptr<const engine::Engine> engine(const std::string& part) const;
  /// Whether there are graphs: a bundle has none.
  bool has_graphs() const { return source_.has_value(); }
  /// What `engine` compiles.
  graph::Graph graph(const std::string& part) const;
  const bundle::Files& files() const { return files_; }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  Target target_;
  int threads_ = 0;
  std::vector<std::string> parts_;
  bundle::Files files_;
  std::optional<ModelSource> source_;
  std::optional<bundle::Bundle> bundle_;
};

}  // namespace tenon::apps
