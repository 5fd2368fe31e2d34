// Weights as Hugging Face lays them out: one file, or shards behind an index.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/folder.h"
#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {

/// What a reader of one form found.
struct WeightSet {
  std::string form;
  WeightMap weights;
  std::vector<std::filesystem::path> files;  ///< indices and weight files
};

/// One weight file of any supported format, told by its first bytes.
WeightSet read_weight_file(const std::filesystem::path& path);

/// True when the directory holds a weight file or index of a usual name.
bool is_hugging_face(const Folder& folder);

/// The weights of a directory. Safetensors come before pickled files, `model` before
/// `diffusion_pytorch_model`, one file before shards; a single file of another name is taken when
/// nothing else is there. With a `variant` such as "fp16", files with it before the suffix
/// (model.fp16.safetensors) come first; without one they are taken where there are no others.
WeightSet read_hugging_face(const Folder& folder, std::string_view variant = {});

}  // namespace tenon::checkpoint
