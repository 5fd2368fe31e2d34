#include "checkpoint/hugging_face.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/torch_file.h"

namespace tenon::checkpoint {

namespace fs = std::filesystem;

namespace {

// The names that transformers and diffusers write, in the order in which they are looked for.
constexpr std::array<std::string_view, 4> kFileNames = {
    "model.safetensors", "diffusion_pytorch_model.safetensors", "pytorch_model.bin",
    "diffusion_pytorch_model.bin"};
constexpr std::array<std::string_view, 5> kSuffixes = {".safetensors", ".bin", ".pth", ".pt",
                                                       ".ckpt"};
constexpr std::size_t kMaxShards = 4096;

bool is_torch_name(const fs::path& path) {
  const std::string suffix = path.extension().string();
  return suffix != kSuffixes[0] &&
         std::find(kSuffixes.begin(), kSuffixes.end(), suffix) != kSuffixes.end();
}

WeightSet read_shards(const Folder& folder, const fs::path& index) {
  const std::map<std::string, std::string> placed = read_index(index);
  std::set<std::string> shards;
  for (const auto& [name, shard] : placed) shards.insert(shard);
  if (shards.empty() || shards.size() > kMaxShards) {
    bad_input("{}: names {} shards, 1 to {} were expected", index.string(), shards.size(),
              kMaxShards);
  }
  WeightSet set;
  set.files.push_back(index);
  for (const std::string& shard : shards) {
    const std::optional<fs::path> path = folder.find(shard);
    if (!path) {
      Error error(ErrorCode::bad_input, fmt::format("{}: names the shard {}, which is not there",
                                                    index.string(), shown_name(shard)));
      throw error.hint("download the checkpoint again: it is not complete");
    }
    WeightSet part = read_weight_file(*path);
    set.form = part.form;
    add_weights(set.weights, std::move(part.weights));
    set.files.push_back(*path);
  }
  for (const auto& [name, shard] : placed) {
    const auto found = set.weights.find(name);
    if (found == set.weights.end() || found->second.extents[0].file->path().filename() != shard) {
      bad_input("{}: places tensor {} in {}, which does not hold it", index.string(),
                shown_name(name), shown_name(shard));
    }
  }
  return set;
}

std::optional<fs::path> only_weight_file(const Folder& folder) {
  for (const std::string_view suffix : kSuffixes) {
    const std::vector<std::string> names = folder.list("", suffix);
    if (names.size() == 1) return folder.find(names[0]);
    if (names.size() > 1) {
      Error error(ErrorCode::bad_input,
                  fmt::format("{}: holds {} {} files ({}), none of which has a usual name",
                              folder.root().string(), names.size(), suffix,
                              fmt::join(names.begin(), names.begin() + 2, ", ")));
      throw error.hint("name the file itself");
    }
  }
  return std::nullopt;
}

// "model.safetensors" -> "model.fp16.safetensors".
std::string with_variant(std::string_view name, std::string_view variant) {
  if (variant.empty()) return std::string(name);
  const std::size_t dot = name.rfind('.');
  return fmt::format("{}.{}{}", name.substr(0, dot), variant, name.substr(dot));
}

// Weights under the names that transformers and diffusers write.
std::optional<WeightSet> read_usual(const Folder& folder, std::string_view variant) {
  for (const std::string_view name : kFileNames) {
    const std::string file_name = with_variant(name, variant);
    if (const auto file = folder.find(file_name)) return read_weight_file(*file);
    for (const std::string& index_name :
         {with_variant(std::string(name) + ".index.json", variant), file_name + ".index.json"}) {
      if (const auto index = folder.find(index_name)) return read_shards(folder, *index);
    }
  }
  return std::nullopt;
}

// The variant of the usual files when all that have one have the same.
std::optional<std::string> only_variant(const Folder& folder) {
  std::set<std::string> variants;
  const auto collect = [&](std::string_view prefix, std::string_view suffix) {
    for (const std::string& name : folder.list(prefix, suffix)) {
      const std::string_view middle =
          std::string_view(name).substr(prefix.size(), name.size() - prefix.size() - suffix.size());
      if (!middle.empty() && middle.find_first_of("./-") == std::string_view::npos)
        variants.insert(std::string(middle));
    }
  };
  for (const std::string_view name : kFileNames) {
    const std::size_t dot = name.rfind('.');
    collect(std::string(name.substr(0, dot)) + ".", name.substr(dot));
    collect(std::string(name) + ".index.", ".json");
  }
  if (variants.size() < 2)
    return variants.empty() ? std::nullopt : std::optional(*variants.begin());
  Error error(ErrorCode::bad_input,
              fmt::format("{}: holds weights of several variants ({}) and no plain ones",
                          folder.root().string(), fmt::join(variants, ", ")));
  throw error.hint("name the variant that is meant");
}

[[noreturn]] void refuse_empty(const Folder& folder) {
  Error error(ErrorCode::bad_input,
              fmt::format("{}: holds no weights; model.safetensors, its index, pytorch_model.bin, "
                          "its index or params.json with consolidated.00.pth was expected",
                          folder.root().string()));
  if (folder.find("model_index.json")) {
    throw error.hint(
        "this is a diffusers pipeline: its components (unet, vae, text_encoder) are "
        "the checkpoints");
  }
  throw error;
}

}  // namespace

WeightSet read_weight_file(const fs::path& path) {
  const MappedFilePtr file = MappedFile::open(path);
  const bool named = path.extension() == ".safetensors";
  if (!named && (is_torch_file(file->bytes()) || is_torch_name(path))) {
    return {"huggingface-pytorch", read_torch(file), {path}};
  }
  return {"huggingface-safetensors", read_safetensors(file), {path}};
}

bool is_hugging_face(const Folder& folder) {
  return std::any_of(kFileNames.begin(), kFileNames.end(), [&](std::string_view name) {
    return folder.find(name) || folder.find(std::string(name) + ".index.json");
  });
}

WeightSet read_hugging_face(const Folder& folder, std::string_view variant) {
  if (!variant.empty()) {
    if (auto set = read_usual(folder, variant)) return *std::move(set);
    log::warn("{}: no weights of variant \"{}\"; the plain ones are taken", folder.root().string(),
              variant);
  }
  if (auto set = read_usual(folder, "")) return *std::move(set);
  if (const auto only = only_variant(folder)) {
    if (auto set = read_usual(folder, *only)) return *std::move(set);
  }
  if (const auto file = only_weight_file(folder)) return read_weight_file(*file);
  refuse_empty(folder);
}

}  // namespace tenon::checkpoint
