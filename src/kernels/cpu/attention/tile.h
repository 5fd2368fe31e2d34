// The seam between the attention driver and the code of one instruction set: one tile of queries
// against one run of cached tokens. Plain data and no inline functions: files of every instruction
// set include this.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenon::kernels::cpu::attention {

/// Tokens that share one step of the online softmax: four pages. Steps begin at multiples of it, so
/// that a row's arithmetic is the same whatever else is in its tile.
inline constexpr int kBlockTokens = 64;
/// Queries (row and head of one group) of a tile at most.
inline constexpr int kTileQueries = 32;
/// Queries that one inner loop takes; packed queries are [queries / 4][dim / step][4][step].
inline constexpr int kQueryBlock = 4;

/// A page begins, for each kv head, with keys [dim / step][16 tokens][step] and goes on with values
/// [16 tokens / step][padded_dim][step]; step is 1 for float32 and 2 for bfloat16, so that a vector
/// of the cache holds neighbouring tokens (keys) or elements (values), whole pairs of them. `dim`
/// is rounded up to the step.
struct TileWork {
  const std::byte* queries;    ///< packed, times scale * log2(e); float32 or bfloat16
  int count;                   ///< 1 .. kTileQueries
  const std::int64_t* limits;  ///< [count] query i sees the tokens below limits[i]
  const std::byte* cache;      ///< of the layer
  std::size_t page_bytes;
  const std::int32_t* pages;  ///< of the sequence
  std::size_t key_offset;     ///< bytes, of this kv head in a page
  std::size_t value_offset;
  std::int64_t begin, end;  ///< tokens; begin is a multiple of kBlockTokens
  std::int64_t dim;         ///< a multiple of step
  std::int64_t padded_dim;  ///< a multiple of 16
  float* scores;            ///< room for [kTileQueries][kBlockTokens], 64-byte aligned
  // Results: softmax(scores) values = sums / totals, with weights 2^(score - highest).
  float* highest;  ///< [count] -inf when nothing was seen
  float* totals;   ///< [count]
  float* sums;     ///< [count][padded_dim]
};

struct TileKernel {
  void (*attend)(const TileWork&);
  int step;             ///< of the page layout: 1 float32 cache, 2 bfloat16 cache
  bool narrow_queries;  ///< packed queries are bfloat16
};

namespace avx2 {
extern const TileKernel kFloatTile, kBFloatTile;
}
namespace avx512 {
extern const TileKernel kFloatTile, kBFloatTile;
}
namespace avx512_bf16 {
extern const TileKernel kBFloatTile;
}

}  // namespace tenon::kernels::cpu::attention
