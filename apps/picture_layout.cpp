#include "picture_layout.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace tenon::apps {
namespace {

using graph::Graph;
using graph::NodeId;
using graph::ValueId;

constexpr const char* kIndex = "model_index.json";

ValueId input_of(const Graph& graph, std::string_view name) {
  const auto id = graph.find_value(name);
  if (!id) fail(ErrorCode::internal, "the graph has no input {}", name);
  return *id;
}

// Every node of `readers` takes `to` where it took `from`.
void redirect(Graph& graph, const std::vector<NodeId>& readers, ValueId from, ValueId to) {
  for (const NodeId reader : readers) {
    const std::vector<ValueId> inputs = graph.node(reader).inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i] == from) graph.set_input(reader, i, to);
    }
  }
}

void take_ids_of_32_bits(Graph& graph) {
  const ValueId ids = input_of(graph, "input_ids");
  const std::vector<NodeId> readers = graph.readers(ids);
  graph.value(ids).dtype = DType::i32;
  const ValueId wide = graph.add("Cast", "/input_ids/Cast", {ids}, {{"to", onnx_type(DType::i64)}});
  redirect(graph, readers, ids, wide);
  graph.infer_again();
}

// Pipelines over this layout pass one time for a batch of two.
void spread_timestep(Graph& graph) {
  const ValueId times = input_of(graph, "timestep");
  const std::vector<NodeId> readers = graph.readers(times);
  const ValueId batch = graph.add("Shape", "/timestep/Shape", {input_of(graph, "sample")},
                                  {{"end", std::int64_t{1}}});
  redirect(graph, readers, times, graph.add("Expand", "/timestep/Expand", {times, batch}));
  graph.infer_again();
}

void give_mean(Graph& graph) {
  const ValueId parameters = graph.outputs().at(0);
  if (graph.value(parameters).name != "latent_parameters") return;  // a small autoencoder has none
  const std::int64_t channels = graph.value(parameters).shape.at(1).constant().value_or(0);
  const auto one = [&](const char* name, std::int64_t number) {
    return graph.add_constant(name, Tensor::from_ints({1}, std::span(&number, 1)));
  };
  const ValueId mean =
      graph.add("Slice", "/latent_sample/Slice",
                {parameters, one("latent_sample.begin", 0), one("latent_sample.end", channels / 2),
                 one("latent_sample.axis", 1)});
  graph.keep_outputs(0);
  graph.mark_output(mean, "latent_sample");
}

std::string holder_config(const std::string& part) {
  if (part == "vae_encoder" || part == "vae_decoder") return "vae/config.json";
  return (part == "tiny_decoder" ? "tiny_vae" : part) + "/config.json";
}

bool has_folder(const bundle::Files& files, const std::string& folder) {
  const auto found = files.lower_bound(folder + "/");
  return found != files.end() && found->first.starts_with(folder + "/");
}

bool is_component(const Json& entry) { return entry.is_array() && entry.size() == 2; }

std::string index_in_layout(const ModelSource& source, const bundle::Files& files,
                            PictureLayout layout) {
  const auto found = files.find(kIndex);
  const Json given = found == files.end() ? Json{{"_class_name", "StableDiffusionPipeline"}}
                                          : parse_json(found->second, kIndex);
  const std::vector<std::string>& parts = source.parts();
  const auto has = [&](std::string_view part) {
    return std::find(parts.begin(), parts.end(), part) != parts.end();
  };
  Json index = Json::object();
  for (const auto& [key, entry] : given.items()) {
    const bool goes_along = !is_component(entry) || has(key) ||
                            (key == "vae" && has("vae_decoder")) ||
                            ((key == "tokenizer" || key == "scheduler") && has_folder(files, key));
    index[key] = goes_along ? entry : Json{nullptr, nullptr};
    if (!goes_along && key == "safety_checker") index["requires_safety_checker"] = false;
  }
  if (layout == PictureLayout::optimum) return index.dump(2) + "\n";
  const std::string name = get_string(given, "_class_name", "StableDiffusionPipeline");
  index["_class_name"] = name.starts_with("Onnx") ? name : "Onnx" + name;
  index.erase("vae");
  // Pipelines know no other parts: one of ours beside them stays out of the index.
  for (const char* part : {"text_encoder", "unet", "vae_encoder", "vae_decoder"}) {
    if (has(part)) index[part] = {"diffusers", "OnnxRuntimeModel"};
  }
  return index.dump(2) + "\n";
}

}  // namespace

PictureLayout parse_picture_layout(const std::string& name) {
  if (name == "optimum") return PictureLayout::optimum;
  if (name == "diffusers") return PictureLayout::diffusers;
  fail(ErrorCode::usage, "layout \"{}\" is not known; optimum and diffusers are", name);
}

Graph graph_in_layout(const ModelSource& source, const std::string& part, PictureLayout layout,
                      DType dtype) {
  const bool script = layout == PictureLayout::diffusers;
  models::BuildOptions options;
  options.dtype = dtype;
  if (script) options.timestep_form = models::TimestepForm::per_batch_float;
  Graph graph = source.graph(part, options);
  if (!script) return graph;
  if (part == "text_encoder") take_ids_of_32_bits(graph);
  if (part == "unet") spread_timestep(graph);
  if (part == "vae_encoder") give_mean(graph);
  graph.tidy();
  return graph;
}

std::vector<std::pair<std::string, std::string>> files_in_layout(const ModelSource& source,
                                                                 PictureLayout layout) {
  const bundle::Files files = source.side_files();
  std::vector<std::pair<std::string, std::string>> made;
  for (const auto& [name, bytes] : files) {
    if (name.starts_with("tokenizer/") || name.starts_with("scheduler/"))
      made.emplace_back(name, bytes);
  }
  for (const std::string& part : source.parts()) {
    const auto config = files.find(holder_config(part));
    if (config != files.end()) made.emplace_back(part + "/config.json", config->second);
  }
  made.emplace_back(kIndex, index_in_layout(source, files, layout));
  return made;
}

}  // namespace tenon::apps
