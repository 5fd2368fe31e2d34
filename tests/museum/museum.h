// What the museum's tests share: engines of the tiny picture model, with and without a planted
// fault.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/json.h"
#include "graph/graph.h"
#include "models/model.h"
#include "passes/target.h"
#include "verify/parts.h"

namespace tenon::museum {

/// tests/text_to_image/tiny
std::filesystem::path tiny_folder();
backend::CpuBackend& cpu();

using EnginePtr = std::shared_ptr<const engine::Engine>;

/// What is planted. Each may be empty.
struct Fault {
  std::function<void(Json& config)> config;
  std::function<SourcePtr(const std::string& name, SourcePtr stored)> weight;
  std::function<void(graph::Graph& graph)> graph;
};

graph::Graph graph_of(const std::string& part, const Fault& fault = {},
                      const models::BuildOptions& options = {});
EnginePtr compiled(graph::Graph graph, const Target& target);
EnginePtr engine_of(const std::string& part, const Target& target, const Fault& fault = {},
                    const models::BuildOptions& options = {});

verify::PictureSizes tiny_sizes();
/// Inputs of the part, latents of 8 x 8 unless `side` says otherwise.
std::vector<verify::TensorRun> runs_of(const engine::Engine& engine, std::int64_t side = 8,
                                       std::int64_t batch = 2);

/// The sound reference run of a part against B.
verify::Report against_reference(const std::string& part, EnginePtr b, std::int64_t side = 8);

/// A weight multiplied by a factor.
Fault scaled_weight(const std::string& weight, float factor);
/// A weight of which one element is NaN.
Fault nan_in(const std::string& weight);

}  // namespace tenon::museum
