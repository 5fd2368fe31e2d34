// tenon inspect: what a checkpoint, ONNX model or bundle is made of.
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/progress.h"
#include "commands/commands.h"
#include "graph/op_schema.h"
#include "graph/text.h"
#include "model_source.h"

namespace tenon::apps {
namespace {

struct Options {
  std::string source;
  bool graph = false;
  std::string part;
};

Json inspect_checkpoint(const checkpoint::Checkpoint& checkpoint) {
  Json tensors = Json::array();
  std::uint64_t bytes = 0;
  std::int64_t parameters = 0;
  std::map<std::string, int> types;
  for (const auto& name : checkpoint.names()) {
    const SourcePtr weight = checkpoint.weight(name);
    const std::int64_t count = element_count(weight->shape());
    parameters += count;
    bytes += static_cast<std::uint64_t>(count) * dtype_size(weight->dtype());
    ++types[std::string(dtype_name(weight->dtype()))];
    tensors.push_back({{"name", name},
                       {"dtype", dtype_name(weight->dtype())},
                       {"shape", weight->shape()},
                       {"file", checkpoint.file_of(name).filename().string()}});
  }
  return {{"kind", "checkpoint"},     {"form", checkpoint.form()}, {"config", checkpoint.config()},
          {"parameters", parameters}, {"weight_bytes", bytes},     {"dtypes", types},
          {"tensors", tensors}};
}

Json inspect_checkpoint(const ModelSource& source) {
  if (source.checkpoint() != nullptr) return inspect_checkpoint(*source.checkpoint());
  const checkpoint::DiffusionCheckpoint& pictures = *source.diffusion();
  Json parts = Json::object();
  for (const auto& [name, part] : pictures.parts()) parts[name] = inspect_checkpoint(part);
  return {{"kind", "checkpoint"},
          {"form", pictures.form()},
          {"scheduler", pictures.scheduler_config()},
          {"notes", pictures.notes()},
          {"parts", parts}};
}

Json describe_values(const graph::Graph& graph, const std::vector<graph::ValueId>& ids) {
  Json list = Json::array();
  for (const auto id : ids) {
    const auto& value = graph.value(id);
    list.push_back({{"name", value.name},
                    {"dtype", dtype_name(value.dtype)},
                    {"shape", to_string(value.shape)}});
  }
  return list;
}

Json inspect_graph(const graph::Graph& graph) {
  std::map<std::string, int> ops;
  const auto order = graph.order();
  for (const auto id : order) ++ops[std::string(graph.node(id).op->name)];
  return {{"kind", "onnx"},
          {"nodes", order.size()},
          {"operators", ops},
          {"inputs", describe_values(graph, graph.inputs())},
          {"outputs", describe_values(graph, graph.outputs())}};
}

Json inspect_onnx(const std::string& path) {
  const ModelSource source = ModelSource::open(path);
  if (!source.draws()) return inspect_graph(source.graph());
  Json parts = Json::object();
  for (const auto& part : source.parts()) parts[part] = inspect_graph(source.graph(part));
  return {{"kind", "onnx"}, {"parts", parts}};
}

Json describe_ports(const engine::Engine& engine, const std::vector<engine::ValueIndex>& ports) {
  Json list = Json::array();
  for (const auto index : ports) {
    const engine::Value& value = engine.values[static_cast<std::size_t>(index)];
    list.push_back({{"name", value.name},
                    {"dtype", dtype_name(value.dtype)},
                    {"shape", to_string(value.shape)}});
  }
  return list;
}

Json describe(const engine::Engine& engine) {
  std::map<std::string, int> kernels;
  for (const auto& step : engine.steps) {
    for (const auto& choice : step.kernels) ++kernels[choice.kernel];
  }
  return {{"name", engine.name},
          {"precision", engine.precision},
          {"isa", engine.isa},
          {"layers", engine.state.layers},
          {"context_length", engine.state.context_length},
          {"weight_bytes", engine.weight_bytes()},
          {"inputs", describe_ports(engine, engine.inputs)},
          {"outputs", describe_ports(engine, engine.outputs)},
          {"steps", engine.steps.size()},
          {"kernels", kernels}};
}

Json inspect_bundle(const std::string& source) {
  const bundle::Bundle bundle = bundle::open(source, bundle::Weights::mapped);
  Json engines = Json::object();
  for (const auto& [component, engine] : bundle.engines) engines[component] = describe(*engine);
  Json files = Json::object();
  for (const auto& [name, data] : bundle.contents.files) files[name] = data.size();
  return {{"kind", "bundle"},
          {"bytes", bundle.file_bytes},
          {"version", bundle.tenon_version},
          {"engines", engines},
          {"files", files},
          {"provenance", bundle.contents.provenance},
          {"evidence", bundle.contents.evidence}};
}

void inspect(const Options& options, const Common& common) {
  const SourceKind kind = detect_source(options.source);
  if (options.graph) {
    const ModelSource source = ModelSource::open(options.source);
    const auto& parts = source.parts();
    const std::string part = options.part.empty() && parts.size() == 1 ? parts[0] : options.part;
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) {
      fail(ErrorCode::usage, "{}: has the parts {}; name one with --part", options.source,
           fmt::join(parts, ", "));
    }
    fmt::print("{}", graph::to_text(source.graph(part)));
    return;
  }
  Json report;
  switch (kind) {
    case SourceKind::checkpoint:
      report = inspect_checkpoint(ModelSource::open(options.source));
      break;
    case SourceKind::onnx:
      report = inspect_onnx(options.source);
      break;
    case SourceKind::bundle:
      report = inspect_bundle(options.source);
      break;
  }
  if (common.json) return print_json(report);
  if (report.contains("tensors")) {
    for (const Json& tensor : report["tensors"]) {
      fmt::print("{:<60} {:<5} {}\n", tensor["name"].get<std::string>(),
                 tensor["dtype"].get<std::string>(), tensor["shape"].dump());
    }
    report.erase("tensors");
  }
  fmt::print("{}\n", report.dump(2));
}

}  // namespace

void add_inspect(CLI::App& program, Common& common, int&) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_subcommand(program, common, "inspect", "tell what a model is made of",
                                     "tenon inspect llama2.tenon");
  command->add_option("SRC", options->source, "checkpoint, ONNX folder or file, or bundle")
      ->required();
  command->add_option("--part", options->part, "of a picture model: text_encoder, unet, ...");
  command->add_flag("--graph", options->graph, "print the whole graph as text");
  command->callback([options, &common] { inspect(*options, common); });
}

}  // namespace tenon::apps
