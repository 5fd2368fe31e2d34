#include "model_source.h"

#include <array>

#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "base/progress.h"
#include "models/model.h"
#include "onnx/reader.h"

namespace tenon::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSideFiles = {
    "config.json",        "generation_config.json",  "tokenizer.json",
    "tokenizer.model",    "tokenizer_config.json",   "vocab.json",
    "merges.txt",         "added_tokens.json",       "chat_template.jinja",
    "chat_template.json", "special_tokens_map.json", "params.json"};

bool has_onnx(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".onnx") return true;
  }
  return false;
}

bool has_weights(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string extension = entry.path().extension();
    const std::string name = entry.path().filename();
    if (extension == ".safetensors" || extension == ".pth" ||
        (extension == ".bin" && name.starts_with("pytorch_model")))
      return true;
  }
  return false;
}

}  // namespace

std::string_view source_kind_name(SourceKind kind) {
  constexpr std::array<std::string_view, 3> kNames = {"checkpoint", "onnx", "bundle"};
  return kNames[static_cast<std::size_t>(kind)];
}

SourceKind detect_source(const fs::path& path) {
  if (!fs::exists(path)) bad_input("{}: there is no such file or folder", path.string());
  if (fs::is_directory(path)) {
    if (has_weights(path) || fs::exists(path / "params.json")) return SourceKind::checkpoint;
    if (has_onnx(path)) return SourceKind::onnx;
    Error error(ErrorCode::bad_input,
                fmt::format("{}: holds neither weights (safetensors, pytorch_model.bin, "
                            "consolidated.*.pth) nor .onnx files",
                            path.string()));
    throw error.hint("name the folder that holds config.json and the weights");
  }
  if (bundle::is_bundle(path)) return SourceKind::bundle;
  return path.extension() == ".onnx" ? SourceKind::onnx : SourceKind::checkpoint;
}

graph::Graph load_graph(const fs::path& path, DType dtype, bool with_past) {
  switch (detect_source(path)) {
    case SourceKind::checkpoint: {
      models::BuildOptions options;
      options.dtype = dtype;
      options.with_past = with_past;
      return models::build(checkpoint::Checkpoint::open(path), options);
    }
    case SourceKind::onnx:
      return onnx::read(path);
    case SourceKind::bundle:
      break;
  }
  Error error(ErrorCode::usage, fmt::format("{}: a bundle holds no graph", path.string()));
  throw error.hint("name the checkpoint or the ONNX folder that it was built from");
}

bundle::Files side_files(const fs::path& path) {
  const fs::path folder = fs::is_directory(path) ? path : path.parent_path();
  bundle::Files files;
  for (const char* name : kSideFiles) {
    if (fs::exists(folder / name)) files[name] = read_file(folder / name);
  }
  // Meta's form has no config.json: the checkpoint translates its own.
  if (!files.contains("config.json") && files.contains("params.json")) {
    files["config.json"] = checkpoint::Checkpoint::open(path).config().dump(2);
  }
  return files;
}

std::int64_t context_length_of(const bundle::Files& files) {
  const auto config = files.find("config.json");
  if (config == files.end()) return 0;
  const Json object = parse_json(config->second, "config.json");
  const std::int64_t length =
      get_int(object, "max_position_embeddings", 1, std::int64_t{1} << 30, 0);
  const Json* scaling = find_field(object, "rope_scaling");
  if (scaling == nullptr) scaling = find_field(object, "rope_parameters");
  if (scaling == nullptr || !scaling->is_object()) return length;
  // Under these two the config keeps the length before scaling; the other kinds name the one after.
  const std::string kind = get_string(*scaling, "rope_type", get_string(*scaling, "type", ""));
  if (kind == "dynamic") return 0;
  if (kind != "linear") return length;
  return static_cast<std::int64_t>(static_cast<double>(length) *
                                   std::clamp(get_number(*scaling, "factor", 1.0), 1.0, 1024.0));
}

const std::shared_ptr<const engine::Engine>& only_engine(const bundle::Engines& engines,
                                                         const std::string& source) {
  const auto found = engines.find(bundle::kModel);
  if (found != engines.end()) return found->second;
  std::string names;
  for (const auto& [name, engine] : engines) names += (names.empty() ? "" : ", ") + name;
  Error error(ErrorCode::usage, fmt::format("{}: has the parts {}, not one model", source, names));
  throw error.hint("a model of pictures draws with: tenon run " + source + " -p TEXT -o FILE.png");
}

Model load_model(const fs::path& path, const Target& target, int threads, bundle::Weights weights) {
  Model model;
  model.kind = detect_source(path);
  const fs::path plain = path.has_filename() ? path : path.parent_path();
  model.name = plain.stem().string();
  if (model.kind == SourceKind::bundle) {
    bundle::Bundle opened = bundle::open(path, weights);
    model.engines = std::move(opened.engines);
    model.contents = std::move(opened.contents);
    return model;
  }
  model.contents.files = side_files(path);
  graph::Graph graph = load_graph(path);
  planner::CompileOptions options;
  options.target = target;
  options.name = model.name;
  options.context_length = context_length_of(model.contents.files);
  options.threads = threads;
  planner::MemoryStore store;
  model.engines[bundle::kModel] = with_context(
      path.string(), [&] { return planner::compile(graph, options, store, &model.report); });
  return model;
}

Json provenance_of(const fs::path& path) {
  std::vector<fs::path> files;
  if (detect_source(path) == SourceKind::checkpoint) {
    const auto checkpoint = checkpoint::Checkpoint::open(path);
    for (const auto& file : checkpoint.files()) files.push_back(file.path);
  } else if (fs::is_directory(path)) {
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  } else {
    files.push_back(path);
  }
  std::uint64_t total = 0;
  for (const auto& file : files) total += fs::file_size(file);
  Progress progress("hashing the source", total);
  Json sources = Json::array();
  for (const auto& file : files) {
    const auto mapped = MappedFile::open(file);
    sources.push_back({{"file", file.filename().string()},
                       {"bytes", mapped->bytes().size()},
                       {"sha256", sha256_hex(mapped->bytes())}});
    mapped->release(0, mapped->bytes().size());
    progress.advance(mapped->bytes().size());
  }
  return {{"source", fs::absolute(path).lexically_normal().filename().string()},
          {"kind", source_kind_name(detect_source(path))},
          {"files", sources}};
}

}  // namespace tenon::apps
