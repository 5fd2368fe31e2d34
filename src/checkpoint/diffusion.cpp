#include "checkpoint/diffusion.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "checkpoint/diffusion_checks.h"
#include "checkpoint/folder.h"
#include "checkpoint/hugging_face.h"
#include "checkpoint/latent_diffusion.h"

namespace tenon::checkpoint {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxSideFile = std::size_t{64} << 20;
constexpr std::array<std::string_view, 7> kTokenizerFiles = {
    "vocab.json",     "merges.txt",        "tokenizer_config.json", "special_tokens_map.json",
    "tokenizer.json", "added_tokens.json", "tokenizer.model"};
constexpr std::array<std::string_view, 3> kParts = {"text_encoder", "unet", "vae"};
// What looks at the finished picture, or adds pictures to the prompt: the networks work without.
constexpr std::array<std::string_view, 3> kPassedOver = {"safety_checker", "feature_extractor",
                                                         "image_encoder"};
constexpr std::array<std::string_view, 3> kPredictionTypes = {"epsilon", "v_prediction", "sample"};
constexpr std::array<std::string_view, 5> kWeightSuffixes = {".safetensors", ".ckpt", ".pt", ".pth",
                                                             ".bin"};
constexpr const char* kTinyClass = "AutoencoderTiny";

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The class in an entry ["library", "class"]; empty for [null, null] and for plain settings.
std::string class_in(const Json& entry, const std::string& key) {
  if (!entry.is_array()) return "";
  if (entry.size() != 2) {
    bad_input("model_index.json: entry {} has {} elements, [library, class] was expected",
              shown_name(key), entry.size());
  }
  if (entry[1].is_null()) return "";
  if (!entry[1].is_string())
    bad_input("model_index.json: entry {} names no class", shown_name(key));
  return entry[1].get<std::string>();
}

[[noreturn]] void refuse_component(const std::string& name, const std::string& class_name) {
  Error error(ErrorCode::bad_input,
              fmt::format("model_index.json: component {} of class {} is not supported",
                          shown_name(name), shown_name(class_name)));
  throw error.hint(
      "pipelines of text_encoder, unet and vae are (Stable Diffusion 1.x and 2.x); other networks "
      "can come in as ONNX");
}

std::optional<fs::path> find_folder(const fs::path& root, const std::string& name) {
  const auto path = Folder(root).find(name);
  std::error_code error;
  return path && fs::is_directory(*path, error) ? path : std::nullopt;
}

}  // namespace

bool DiffusionCheckpoint::recognizes(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return Folder(path).find("model_index.json").has_value();
  if (!fs::is_regular_file(path, error) || !contains(kWeightSuffixes, path.extension().string()))
    return false;
  return is_latent_diffusion(read_weight_file(path).weights);
}

DiffusionCheckpoint DiffusionCheckpoint::open(const fs::path& path,
                                              const DiffusionOptions& options) {
  if (!options.prediction_type.empty() && !contains(kPredictionTypes, options.prediction_type)) {
    fail(ErrorCode::usage, "prediction type \"{}\" is not known; {} are", options.prediction_type,
         fmt::join(kPredictionTypes, ", "));
  }
  DiffusionCheckpoint checkpoint;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    checkpoint.directory_ = path;
    with_context(path.string(), [&] { checkpoint.open_directory(options); });
  } else {
    checkpoint.directory_ = path.has_parent_path() ? path.parent_path() : fs::path(".");
    with_context(path.string(), [&] { checkpoint.open_file(path, options); });
  }
  with_context(path.string(), [&] { checkpoint.finish(options.prediction_type); });
  return checkpoint;
}

void DiffusionCheckpoint::open_directory(const DiffusionOptions& options) {
  form_ = "diffusers";
  const auto index_path = Folder(directory_).find("model_index.json");
  if (!index_path) {
    Error error(ErrorCode::bad_input, "holds no model_index.json");
    throw error.hint("name the directory that diffusers' save_pretrained wrote, or one file");
  }
  const Json index = read_config(*index_path);
  for (const auto& [name, entry] : index.items()) {
    const std::string class_name = class_in(entry, name);
    if (class_name.empty()) continue;
    if (contains(kParts, name)) {
      open_part(name, name, class_name, options.variant);
    } else if (class_name == kTinyClass) {
      open_part("tiny_vae", name, class_name, options.variant);
    } else if (contains(kPassedOver, name)) {
      notes_.push_back(fmt::format("Component {} is passed over.", name));
      log::info("{}: {} is passed over", directory_.string(), name);
    } else if (name != "scheduler" && name != "tokenizer") {
      refuse_component(name, class_name);
    }
  }
  if (find("tiny_vae") == nullptr) find_tiny_beside(options.variant);
  read_side_files();
}

void DiffusionCheckpoint::open_part(const std::string& part, const std::string& folder,
                                    const std::string& class_name, const std::string& variant) {
  with_context(folder, [&] {
    const auto path = find_folder(directory_, folder);
    if (!path) {
      Error error(ErrorCode::bad_input,
                  fmt::format("model_index.json names this component ({}), its folder is missing",
                              class_name));
      throw error.hint("download the checkpoint again: it is not complete");
    }
    Checkpoint opened = Checkpoint::open(*path, variant);
    const std::string found = get_string(opened.config(), "_class_name", class_name);
    if (found != class_name) {
      Error error(ErrorCode::bad_input,
                  fmt::format("config.json is of a {}, model_index.json names a {}",
                              shown_name(found), shown_name(class_name)));
      throw error.hint("the folders of two models are mixed up");
    }
    if (!parts_.emplace(part, std::move(opened)).second)
      bad_input("model_index.json names a second {}", part);
  });
}

// Previews come from a small autoencoder that people put beside the networks.
void DiffusionCheckpoint::find_tiny_beside(const std::string& variant) {
  for (const char* name : {"tiny_vae", "vae_tiny", "taesd"}) {
    const auto path = find_folder(directory_, name);
    if (!path) continue;
    const auto config = Folder(*path).find("config.json");
    if (!config || get_string(read_config(*config), "_class_name", "") != kTinyClass) continue;
    return open_part("tiny_vae", name, kTinyClass, variant);
  }
}

void DiffusionCheckpoint::read_side_files() {
  const auto take = [&](const fs::path& folder, const std::string& prefix, std::string_view name) {
    const auto path = Folder(folder).find(name);
    if (!path) return;
    const std::string key = prefix + std::string(name);
    side_files_[key] = read_file(*path, kMaxSideFile);
    files_.push_back({*path, fs::file_size(*path)});
  };
  if (form_ == "diffusers") {
    take(directory_, "", "model_index.json");
    if (const auto folder = find_folder(directory_, "scheduler"))
      take(*folder, "scheduler/", "scheduler_config.json");
    for (const auto& [name, part] : parts_)
      side_files_[name + "/config.json"] = part.config().dump(2);
  }
  if (const auto folder = find_folder(directory_, "tokenizer")) {
    for (const std::string_view name : kTokenizerFiles) take(*folder, "tokenizer/", name);
  }
}

void DiffusionCheckpoint::open_file(const fs::path& path, const DiffusionOptions& options) {
  form_ = "latent-diffusion";
  LatentDiffusionFile file =
      read_latent_diffusion(path, options.original_config, options.prediction_type);
  for (auto& [name, part] : file.parts) parts_.emplace(name, std::move(part));
  side_files_ = std::move(file.side_files);
  for (const std::string& text : file.notes) notes_.push_back(text);
  for (const std::string& text : file.warnings) note(text);
  read_side_files();
  if (!side_files_.contains("tokenizer/vocab.json") &&
      !side_files_.contains("tokenizer/tokenizer.json")) {
    note("The file holds no tokenizer and no folder `tokenizer` stands beside it.");
  }
  if (!file.original_config.empty())
    files_.push_back({file.original_config, fs::file_size(file.original_config)});
}

void DiffusionCheckpoint::finish(const std::string& prediction_type) {
  for (const auto& [name, part] : parts_) {
    for (const SourceFile& file : part.files()) {
      const bool listed = std::any_of(files_.begin(), files_.end(),
                                      [&](const SourceFile& f) { return f.path == file.path; });
      if (!listed) files_.push_back(file);
    }
  }
  const std::string key = "scheduler/scheduler_config.json";
  if (const auto found = side_files_.find(key); found != side_files_.end()) {
    scheduler_config_ = parse_json(found->second, key);
    if (!scheduler_config_.is_object()) bad_input("{} is no JSON object", key);
    if (!prediction_type.empty()) {
      scheduler_config_["prediction_type"] = prediction_type;
      found->second = scheduler_config_.dump(2);
    }
  }
  for (std::string& text : check_parts(*this)) note(std::move(text));
}

void DiffusionCheckpoint::note(std::string text) {
  log::warn("{}: {}", directory_.string(), text);
  notes_.push_back(std::move(text));
}

const Checkpoint* DiffusionCheckpoint::find(std::string_view part) const {
  const auto found = parts_.find(part);
  return found == parts_.end() ? nullptr : &found->second;
}

const Checkpoint& DiffusionCheckpoint::part(std::string_view name) const {
  if (const Checkpoint* found = find(name)) return *found;
  std::vector<std::string_view> names;
  for (const auto& [known, part] : parts_) names.push_back(known);
  bad_input("{}: has no part {}; it has {}", directory_.string(), name, fmt::join(names, ", "));
}

}  // namespace tenon::checkpoint
