// The weights of a checkpoint by name, and the rules on names that every file format shares.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "tensor/source.h"

namespace tenon::checkpoint {

using MappedFilePtr = std::shared_ptr<const MappedFile>;

/// Bytes of a file that a weight is read from.
struct Extent {
  MappedFilePtr file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::optional<std::uint32_t> crc32;  ///< the sum that the format keeps of them, if it keeps one
};

struct Weight {
  SourcePtr source;
  std::vector<Extent> extents;  ///< more than one when shards are joined
};

using WeightMap = std::map<std::string, Weight, std::less<>>;

/// Tensors that one file may hold. More is refused: the largest known mixture-of-experts models
/// have 100,000 over all their files.
inline constexpr std::size_t kMaxTensors = 200'000;
/// Dimensions that a tensor may have.
inline constexpr std::size_t kMaxRank = 32;

/// The values at `offset` of the file, in place. The caller has checked that they lie inside it.
/// An offset that is not a multiple of the element size gives a source without a view.
SourcePtr mapped_source(const MappedFilePtr& file, DType dtype, Shape shape, std::uint64_t offset);

/// A name from a file, fit for a message: quoted, shortened, control characters replaced.
std::string shown_name(std::string_view name);

/// Refuses an empty or overlong name, control characters and broken UTF-8.
void check_tensor_name(std::string_view name);

/// Adds `name`; refuses one that is there already, naming both files.
void add_weight(WeightMap& weights, std::string_view name, Weight weight);
void add_weights(WeightMap& weights, WeightMap more);

}  // namespace tenon::checkpoint
