#include "model_source.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/mapped_file.h"
#include "base/progress.h"
#include "models/components.h"
#include "onnx/reader.h"

namespace tenon::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSideFiles = {
    "config.json",        "generation_config.json",  "tokenizer.json",
    "tokenizer.model",    "tokenizer_config.json",   "vocab.json",
    "merges.txt",         "added_tokens.json",       "chat_template.jinja",
    "chat_template.json", "special_tokens_map.json", "params.json"};
// Folders of a picture model that hold such files; the ones of networks hold configurations.
constexpr std::array kPictureFolders = {"tokenizer", "scheduler",   "text_encoder", "unet",
                                        "vae",       "vae_encoder", "vae_decoder"};

bool has_onnx(const fs::path& folder) {
  if (!fs::is_directory(folder)) return false;
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

std::vector<std::string> onnx_parts(const fs::path& folder) {
  std::vector<std::string> parts;
  if (!fs::is_directory(folder)) return parts;
  for (const auto name : models::component_names()) {
    if (has_onnx(folder / name)) parts.emplace_back(name);
  }
  return parts;
}

// The part of a checkpoint that holds a network's weights: both halves of the autoencoder are one.
std::string_view holder_of(std::string_view part) {
  if (part == "vae_encoder" || part == "vae_decoder") return "vae";
  return part == "tiny_decoder" ? "tiny_vae" : part;
}

void read_side_files(const fs::path& folder, const std::string& prefix, bundle::Files& files) {
  for (const char* name : kSideFiles) {
    if (fs::exists(folder / name)) files[prefix + name] = read_file(folder / name);
  }
}

bundle::Files picture_files(const fs::path& folder) {
  bundle::Files files;
  if (fs::exists(folder / "model_index.json"))
    files["model_index.json"] = read_file(folder / "model_index.json");
  for (const std::string name : kPictureFolders) {
    read_side_files(folder / name, name + "/", files);
    const fs::path scheduler = folder / name / "scheduler_config.json";
    if (fs::exists(scheduler)) files[name + "/scheduler_config.json"] = read_file(scheduler);
  }
  return files;
}

std::vector<fs::path> regular_files(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string hash_of(const MappedFile& file, Progress& progress) {
  std::size_t seen = 0;
  return sha256_hex(file.bytes(), [&](std::size_t passed) {
    check_interrupt();
    file.release(seen, passed - seen);
    progress.advance(passed - seen);
    seen = passed;
  });
}

// Of "." and of "folder/" too.
std::string name_of(const fs::path& path) {
  const fs::path whole = fs::weakly_canonical(path);
  return (fs::is_directory(whole) ? whole.filename() : whole.stem()).string();
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
    if (has_onnx(path) || !onnx_parts(path).empty()) return SourceKind::onnx;
    if (fs::exists(path / "model_index.json")) return SourceKind::checkpoint;
    Error error(ErrorCode::bad_input,
                fmt::format("{}: holds neither weights (safetensors, pytorch_model.bin, "
                            "consolidated.*.pth), nor a model_index.json, nor .onnx files",
                            path.string()));
    throw error.hint("name the folder that holds config.json and the weights");
  }
  if (bundle::is_bundle(path)) return SourceKind::bundle;
  return path.extension() == ".onnx" ? SourceKind::onnx : SourceKind::checkpoint;
}

NamedSource named_source(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || fs::exists(text)) return {name_of(text), false, text};
  return {text.substr(0, equals), true, text.substr(equals + 1)};
}

ModelSource ModelSource::open(const fs::path& path, models::Pooling pooling) {
  ModelSource source;
  source.pooling_ = pooling;
  source.path_ = path;
  source.kind_ = detect_source(path);
  if (source.kind_ == SourceKind::bundle) {
    Error error(ErrorCode::usage, fmt::format("{}: a bundle holds no graph", path.string()));
    throw error.hint("name the checkpoint or the ONNX folder that it was built from");
  }
  if (source.kind_ == SourceKind::onnx) {
    source.parts_ = onnx_parts(path);
  } else if (checkpoint::DiffusionCheckpoint::recognizes(path)) {
    source.diffusion_ = checkpoint::DiffusionCheckpoint::open(path);
    for (const auto name : models::component_names()) {
      if (source.diffusion_->find(holder_of(name)) != nullptr) source.parts_.emplace_back(name);
    }
  } else {
    source.checkpoint_ = checkpoint::Checkpoint::open(path);
  }
  if (pooling != models::Pooling::none && !source.checkpoint_) {
    Error error(ErrorCode::usage,
                fmt::format("{}: is no checkpoint of a model of text: it has no states to pool",
                            path.string()));
    throw error.hint("leave out --embeddings, or name such a checkpoint");
  }
  if (source.parts_.empty()) source.parts_ = {bundle::kModel};
  return source;
}

graph::Graph ModelSource::graph(const std::string& part,
                                const models::BuildOptions& options) const {
  if (diffusion_) {
    return with_context(part, [&] {
      return models::build_component(diffusion_->part(holder_of(part)), part, options);
    });
  }
  if (checkpoint_) {
    models::BuildOptions build = options;
    build.pooling = pooling_;
    return models::build(*checkpoint_, build);
  }
  return onnx::read(part == bundle::kModel ? path_ : path_ / part);
}

graph::Graph ModelSource::graph(const models::BuildOptions& options) const {
  if (draws()) refuse_parts(path_.string(), parts_);
  return graph(bundle::kModel, options);
}

bundle::Files ModelSource::side_files() const {
  if (diffusion_) return {diffusion_->side_files().begin(), diffusion_->side_files().end()};
  const fs::path folder = fs::is_directory(path_) ? path_ : path_.parent_path();
  if (draws()) {
    bundle::Files files = picture_files(folder);
    // Exporters give the configuration of the autoencoder to each of its halves.
    const auto half = files.find("vae_decoder/config.json");
    if (half != files.end()) files.try_emplace("vae/config.json", half->second);
    return files;
  }
  bundle::Files files;
  read_side_files(folder, "", files);
  // Meta's form has no config.json: the checkpoint translates its own.
  if (checkpoint_ && !files.contains("config.json") && files.contains("params.json"))
    files["config.json"] = checkpoint_->config().dump(2);
  return files;
}

std::string ModelSource::name() const { return name_of(path_); }

std::vector<fs::path> ModelSource::files() const {
  if (!checkpoint_ && !diffusion_) return regular_files(path_);
  std::vector<fs::path> files;
  for (const auto& file : checkpoint_ ? checkpoint_->files() : diffusion_->files())
    files.push_back(file.path);
  return files;
}

Json ModelSource::provenance() const {
  const std::vector<fs::path> files = this->files();
  std::uint64_t total = 0;
  for (const auto& file : files) total += fs::file_size(file);
  Progress progress("hashing the source", total);
  const fs::path root = fs::is_directory(path_) ? path_ : path_.parent_path();
  Json sources = Json::array();
  for (const auto& file : files) {
    const auto mapped = MappedFile::open(file);
    sources.push_back({{"file", file.lexically_relative(root).string()},
                       {"bytes", mapped->bytes().size()},
                       {"sha256", hash_of(*mapped, progress)}});
  }
  Json made = {{"source", fs::absolute(path_).lexically_normal().filename().string()},
               {"kind", source_kind_name(kind_)},
               {"files", sources}};
  if (diffusion_ && !diffusion_->notes().empty()) made["notes"] = diffusion_->notes();
  return made;
}

bundle::Files side_files(const fs::path& path) {
  if (fs::is_regular_file(path) && bundle::is_bundle(path))
    return bundle::open(path, bundle::Weights::mapped).contents.files;
  const fs::path folder = fs::is_directory(path) ? path : path.parent_path();
  bundle::Files files = picture_files(folder);
  read_side_files(folder, "", files);
  return files;
}

void refuse_parts(const std::string& source, const std::vector<std::string>& parts) {
  Error error(ErrorCode::usage,
              fmt::format("{}: has the parts {}, not one model", source, fmt::join(parts, ", ")));
  throw error.hint("a model of pictures draws with: tenon run " + source + " -p TEXT -o FILE.png");
}

}  // namespace tenon::apps
