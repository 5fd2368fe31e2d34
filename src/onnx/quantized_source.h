// Weights of few bits as numbers again, computed as they are read.
#pragma once

#include "tensor/source.h"

namespace tenon::onnx {

/// Rows of N packed columns as com.microsoft.MatMulNBits keeps them.
struct BlockFormat {
  std::int64_t k = 0;      ///< numbers in a column
  std::int64_t n = 0;      ///< columns
  std::int64_t bits = 4;   ///< 4 or 8 each, the lower half of a byte first
  std::int64_t block = 0;  ///< numbers that share a scale, along a column

  std::int64_t blocks() const { return (k + block - 1) / block; }
  std::int64_t block_bytes() const { return block * bits / 8; }
};

/// float32 [K, N]: (q - zero) * scale. `packed` is uint8 with N * blocks * block_bytes elements,
/// `scales` has one for each column and block; `zeros` is nullptr (then 2^(bits-1)), or uint8
/// packed like a column's numbers, one a block, each column padded to bytes, or of the type of
/// `scales`. Error(bad_input) names what has another count.
SourcePtr block_source(const BlockFormat& format, SourcePtr packed, const SourcePtr& scales,
                       const SourcePtr& zeros);

/// float32 in the shape of `numbers` (int8, uint8, ...): (q - zero) * scale, with one scale and
/// zero for all or for each index of `axis`. `zeros` may be nullptr.
SourcePtr scaled_source(SourcePtr numbers, const SourcePtr& scales, const SourcePtr& zeros,
                        std::int64_t axis);

}  // namespace tenon::onnx
