// The safetensors file format, read strictly: every rule of the format is checked before any value
// is used.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {

struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::uint64_t begin = 0;  ///< from the start of the file, in bytes
  std::uint64_t end = 0;
};

/// The tensors of a whole file in the order of their bytes. Together they cover the file from the
/// end of the header to the last byte, each exactly as long as its shape and type ask. Reads only
/// the header. Error(bad_input) names the rule that is broken.
std::vector<SafetensorsEntry> parse_safetensors(std::span<const std::byte> file);

/// The weights of a file, in place. Errors name the file.
WeightMap read_safetensors(const MappedFilePtr& file);

}  // namespace tenon::checkpoint
