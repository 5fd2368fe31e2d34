// Files that torch.save wrote (.bin, .pth, .pt, .ckpt), read without running any code.
#pragma once

#include <cstddef>
#include <span>

#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {

/// True when the bytes start as a zip archive, a pickle or a tar archive does.
bool is_torch_file(std::span<const std::byte> file) noexcept;

/// The weights of a state dict, in place: the zip form (torch 1.6 and later), or the form before
/// it, where storages follow a row of pickles. Elements in another order than row-major are
/// gathered at each read. Errors name the file.
WeightMap read_torch(const MappedFilePtr& file);

}  // namespace tenon::checkpoint
