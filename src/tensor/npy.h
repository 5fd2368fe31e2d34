// NumPy's .npy and .npz files: tensors by name, from and to other programs.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "tensor/tensor.h"

namespace tenon {

/// Versions 1 to 3, C order, little endian, plain numbers and bools. Object arrays (which hold
/// pickles), Fortran order and other byte orders are refused by name.
Tensor parse_npy(std::span<const std::byte> bytes);
Tensor read_npy(const std::filesystem::path& path);
/// bf16 is written as float32, which NumPy knows.
void write_npy(const std::filesystem::path& path, const TensorView& tensor);
/// All arrays of an archive, stored or deflated, at most 4 GB in all.
std::map<std::string, Tensor, std::less<>> read_npz(const std::filesystem::path& path);

}  // namespace tenon
