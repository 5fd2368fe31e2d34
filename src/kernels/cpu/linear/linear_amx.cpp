// Products with AMX tiles: 16 rows by 64 columns of sums, bfloat16 pairs or int8 quads. A few rows
// would leave the tiles mostly empty: they take the vector instructions.
#include <immintrin.h>

#include "kernels/cpu/linear/kernels.h"
#include "kernels/cpu/linear/tile_product.h"
#include "kernels/cpu/linear/vector_avx512_bf16.h"
#include "kernels/cpu/linear/vector_avx512_int8.h"

namespace tenon::kernels::cpu::linear {
namespace {

constexpr long kTileRows = 16;
constexpr long kTileBytes = 64;  // of a row: 16 sums, or 16 steps
constexpr long kFewRows = 6;

// Palette 1: tiles 0-3 sums, 4 input, 5-7 weights.
struct alignas(64) TileConfig {
  unsigned char palette = 1;
  unsigned char start_row = 0;
  unsigned char reserved[14] = {};
  unsigned short row_bytes[16] = {};
  unsigned char rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

void configure(long rows) {
  TileConfig config;
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = kTileBytes;
    config.rows[tile] = static_cast<unsigned char>(tile <= 4 ? rows : kTileRows);
  }
  _tile_loadconfig(&config);
}

bool evenly_spaced(const long* offsets, long rows) {
  for (long r = 2; r < rows; ++r) {
    if (offsets[r] - offsets[r - 1] != offsets[1] - offsets[0]) return false;
  }
  return true;
}

// A tile of 16 steps of rows that lie anywhere.
void gather(long rows, const char* x, const long* offsets, char* out) {
  for (long r = 0; r < rows; ++r) {
    _mm512_store_si512(out + r * kTileBytes, _mm512_loadu_si512(x + offsets[r]));
  }
  asm volatile("" ::: "memory");
}

// A block is one tile of input rows against 64 columns, 16 steps at a time.
template <typename Vectors>
struct TileBlock : Vectors {
  static constexpr int kMaxRows = kTileRows;
  static constexpr int kStreams = 1;

  template <int kLines>
  static void add_block(long rows, const char* x, const long* offsets, const char* w, long steps,
                        char* sums, const char* fetch) {
    configure(rows);
    const bool even = evenly_spaced(offsets, rows);
    const long x_stride = even && rows > 1 ? offsets[1] - offsets[0] : kTileBytes;
    alignas(kTileBytes) char gathered[kTileRows * kTileBytes];
    if (even) x += offsets[0];
    // The tile loads of gcc 12 do not say that they read memory.
    asm volatile("" ::: "memory");
    _tile_loadd(0, sums, kPanelRowBytes);
    _tile_loadd(1, sums + kTileBytes, kPanelRowBytes);
    _tile_loadd(2, sums + 2 * kTileBytes, kPanelRowBytes);
    _tile_loadd(3, sums + 3 * kTileBytes, kPanelRowBytes);
    for (long step = 0; step < steps; step += kStepAlignment) {
      if (even) {
        _tile_loadd(4, x + step * kStepBytes, x_stride);
      } else {
        gather(rows, x + step * kStepBytes, offsets, gathered);
        _tile_loadd(4, gathered, kTileBytes);
      }
      const char* from = w + step * kPanelRowBytes;
      for (int line = 0; line < kLines * kStepAlignment; ++line, fetch += kTileBytes) {
        _mm_prefetch(fetch, _MM_HINT_T1);
      }
      _tile_loadd(5, from, kPanelRowBytes);
      _tile_loadd(6, from + kTileBytes, kPanelRowBytes);
      _tile_loadd(7, from + 2 * kTileBytes, kPanelRowBytes);
      if constexpr (sizeof(typename Vectors::Stored) == 2) {
        _tile_dpbf16ps(0, 4, 5);
        _tile_loadd(5, from + 3 * kTileBytes, kPanelRowBytes);
        _tile_dpbf16ps(1, 4, 6);
        _tile_dpbf16ps(2, 4, 7);
        _tile_dpbf16ps(3, 4, 5);
      } else {
        _tile_dpbusd(0, 4, 5);
        _tile_loadd(5, from + 3 * kTileBytes, kPanelRowBytes);
        _tile_dpbusd(1, 4, 6);
        _tile_dpbusd(2, 4, 7);
        _tile_dpbusd(3, 4, 5);
      }
    }
    _tile_stored(0, sums, kPanelRowBytes);
    _tile_stored(1, sums + kTileBytes, kPanelRowBytes);
    _tile_stored(2, sums + 2 * kTileBytes, kPanelRowBytes);
    _tile_stored(3, sums + 3 * kTileBytes, kPanelRowBytes);
  }
};

template <typename Vectors>
void multiply(const Product& product, const Share& share, std::byte* scratch) noexcept {
  if (share.row_end - share.row_begin <= kFewRows) {
    return TileProduct<Vectors>::multiply(product, share, scratch);
  }
  TileProduct<TileBlock<Vectors>>::multiply(product, share, scratch);
  _tile_release();  // full tiles make every later task switch of this thread slower
}

}  // namespace

const ProductKernel kBf16Amx = {2, prepare_bf16, kStepAlignment, multiply<Bf16Pairs>};
const ProductKernel kInt8Amx = {1, prepare_int8, kStepAlignment, multiply<Int8Quads>};

}  // namespace tenon::kernels::cpu::linear
