// The seam between the driver of tenon.Attention and the code of one instruction set: some queries
// of one head against all its keys, block by block, without a matrix of scores. Plain data and no
// inline functions: files of every instruction set include this.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenon::kernels::cpu::attention {

/// Keys of a packed panel.
inline constexpr std::int64_t kPanelKeys = 64;
/// Elements of a packed panel of values, the last one less; a multiple of 16.
inline constexpr std::int64_t kPanelValues = 64;
/// Keys that share one step of the online softmax.
inline constexpr std::int64_t kFlashBlock = 256;
/// Every packed operand is made of words: one float32, or two bfloat16 that lie one after the other
/// along the axis that a product sums over.
inline constexpr std::int64_t kWordBytes = 4;
/// Rows of packed queries have a multiple of this many words, zeros at the end.
inline constexpr std::int64_t kWordAlignment = 16;

/// Gives the mask of some keys of one row, times log2(e).
struct MaskRows {
  const void* context;
  void (*read)(const void* context, std::int64_t row, std::int64_t first, std::int64_t count,
               float* out);
};

struct FlashWork {
  // Queries and results of this head, rows of float32; strides in elements.
  const float* queries;
  std::int64_t query_stride;
  float* out;
  std::int64_t out_stride;
  std::int64_t rows;   ///< 1 .. FlashKernel::rows
  std::int64_t dim;    ///< elements of a query and a key
  std::int64_t words;  ///< words of a packed query, a multiple of kWordAlignment
  std::int64_t value_dim;
  float factor;  ///< scale * log2(e)

  const std::byte* keys;     ///< panels [words][64 keys]
  const std::byte* values;   ///< panels [padded_keys / step words][64 elements]
  std::int64_t key_count;    ///< at least 1
  std::int64_t padded_keys;  ///< a multiple of kPanelKeys
  /// Row i sees the keys below min(key_count, first_limit + i).
  std::int64_t first_limit;
  const MaskRows* mask;  ///< nullptr for none

  // Room of this thread, 64-byte aligned, for FlashKernel::rows rows.
  std::byte* packed_queries;  ///< [rows][words]
  float* scores;              ///< [rows][kFlashBlock]
  float* sums;                ///< [rows][value_dim rounded up to 16]
  float* highest;             ///< [rows]
  float* totals;              ///< [rows]
  float* mask_row;            ///< [kFlashBlock]
};

struct FlashKernel {
  int rows;  ///< queries of one work at most
  int step;  ///< elements of a word: 1 float32, 2 bfloat16
  /// A panel of `count` keys of `dim` elements, `stride` apart: zeros for the keys and words
  /// beyond.
  void (*pack_keys)(const float* keys, std::int64_t stride, std::int64_t count, std::int64_t dim,
                    std::int64_t words, std::byte* panel);
  /// 64 keys' share of all panels of values, which lie `panel_bytes` apart (the last is narrower):
  /// `values` begins at the first word of these keys. Zeros beyond `count`.
  void (*pack_values)(const float* values, std::int64_t stride, std::int64_t count,
                      std::int64_t dim, std::int64_t first_word, std::int64_t panel_bytes,
                      std::byte* panels);
  void (*attend)(const FlashWork&);
};

namespace avx2 {
extern const FlashKernel kFloatFlash;
}
namespace avx512 {
extern const FlashKernel kFloatFlash;
}
namespace avx512_bf16 {
extern const FlashKernel kPairFlash;
}
namespace amx {
extern const FlashKernel kTileFlash;
}

}  // namespace tenon::kernels::cpu::attention
