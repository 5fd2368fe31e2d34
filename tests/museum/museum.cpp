#include "museum.h"

#include <cmath>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "models/components.h"
#include "planner/planner.h"

namespace tenon::museum {
namespace {

constexpr std::int64_t kTimestep = 500;

Fault changed_weight(const std::string& weight,
                     const std::function<void(std::span<float>)>& change) {
  Fault fault;
  fault.weight = [=](const std::string& name, SourcePtr stored) -> SourcePtr {
    if (name != weight) return stored;
    Tensor values = cast_source(stored, DType::f32)->load();
    change(values.as<float>());
    return owned_source(std::move(values));
  };
  return fault;
}

}  // namespace

std::filesystem::path tiny_folder() {
  return std::filesystem::path(TENON_SOURCE_DIR) / "tests" / "text_to_image" / "tiny";
}

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(2);
  return backend;
}

graph::Graph graph_of(const std::string& part, const Fault& fault,
                      const models::BuildOptions& options) {
  const auto checkpoint =
      checkpoint::Checkpoint::open(tiny_folder() / (part.starts_with("vae") ? "vae" : part));
  Json config = checkpoint.config();
  const std::string class_name = models::class_name_of(config);
  if (fault.config) fault.config(config);
  const models::Weights weights = [&](const std::string& name, const Shape& shape) {
    SourcePtr stored = checkpoint.weight(name, shape);
    return fault.weight ? fault.weight(name, stored) : stored;
  };
  for (const auto& known : models::component_classes()) {
    if (known.component != part || known.class_name != class_name) continue;
    graph::Graph graph = known.build(config, weights, options);
    if (fault.graph) fault.graph(graph);
    return graph;
  }
  fail(ErrorCode::internal, "{} of class {} is not known", part, class_name);
}

EnginePtr compiled(graph::Graph graph, const Target& target) {
  planner::CompileOptions options;
  options.target = target;
  return planner::compile(graph, options);
}

EnginePtr engine_of(const std::string& part, const Target& target, const Fault& fault,
                    const models::BuildOptions& options) {
  return compiled(graph_of(part, fault, options), target);
}

verify::PictureSizes tiny_sizes() {
  verify::PictureSizes sizes;
  sizes.text_width = 16;
  sizes.factor = 2;
  sizes.multiple = 2;
  return sizes;
}

std::vector<verify::TensorRun> runs_of(const engine::Engine& engine, std::int64_t side,
                                       std::int64_t batch) {
  return verify::seeded_runs(engine, tiny_sizes(), side, batch, std::span(&kTimestep, 1));
}

verify::Report against_reference(const std::string& part, EnginePtr b, std::int64_t side) {
  verify::TensorSubject exact("sound", engine_of(part, Target::reference_run()), cpu());
  verify::TensorSubject faulty("faulty", std::move(b), cpu());
  return verify::compare_tensors(exact, faulty, runs_of(exact.engine(), side),
                                 verify::Budget::of_tensors(exact.engine(), faulty.engine()));
}

Fault scaled_weight(const std::string& weight, float factor) {
  return changed_weight(weight, [=](std::span<float> values) {
    for (float& value : values) value *= factor;
  });
}

Fault nan_in(const std::string& weight) {
  return changed_weight(weight, [](std::span<float> values) { values[values.size() / 2] = NAN; });
}

}  // namespace tenon::museum
