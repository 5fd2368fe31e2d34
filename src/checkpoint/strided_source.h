// A tensor whose elements do not lie in row-major order: read through its strides.
#pragma once

#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {

/// A tensor over `storage`, a one-dimensional run of `elements` values at byte `offset` of the
/// file.
struct StridedTensor {
  DType dtype = DType::f32;
  std::uint64_t offset = 0;
  std::int64_t elements = 0;  ///< of the storage
  std::int64_t first = 0;     ///< element where the tensor starts
  Shape shape;
  Shape strides;  ///< in elements
};

/// In place when the elements are contiguous, else gathered at each read. Refuses (bad_input)
/// negative sizes and strides, places outside the storage, and more elements than the storage has.
SourcePtr strided_source(const MappedFilePtr& file, const StridedTensor& tensor);

}  // namespace tenon::checkpoint
