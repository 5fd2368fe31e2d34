// What transformers computed for a tiny checkpoint of this folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tensor/npy.h"

namespace tenon::tests {

using Recording = std::map<std::string, Tensor, std::less<>>;

/// Folder of a checkpoint, e.g. "llama-gqa".
std::filesystem::path model_folder(const std::string& name);
/// Names of all folders with a recording.
std::vector<std::string> model_names();
Recording read_recording(const std::string& name);

/// Largest difference of two float32 tensors of equal shape; rows (all dimensions but the last)
/// where `keep` holds 0 are passed over. An empty `keep` compares all.
double largest_difference(const TensorView& a, const TensorView& b,
                          std::span<const std::int64_t> keep = {});

}  // namespace tenon::tests
