// tenon.Attention with AMX tiles: 32 rows by 32 columns of sums, pairs of bfloat16; softmax in
// AVX-512.
#include "kernels/cpu/attention/flash_vectors512_bf16.h"

namespace tenon::kernels::cpu::attention {
namespace {

constexpr long kTileRows = 16;
constexpr long kTileBytes = 64;  // of a row: 16 sums or 16 words

// Palette 1: tiles 0-3 sums, 4-5 rows of x, 6-7 words of w; all whole.
struct alignas(64) TileConfig {
  unsigned char palette = 1;
  unsigned char start_row = 0;
  unsigned char reserved[14] = {};
  unsigned short row_bytes[16] = {};
  unsigned char rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

struct TileWords : PairWords512 {
  static void begin() {
    TileConfig config;
    for (int tile = 0; tile < 8; ++tile) {
      config.row_bytes[tile] = kTileBytes;
      config.rows[tile] = kTileRows;
    }
    _tile_loadconfig(&config);
  }
  static void end() { _tile_release(); }
  static long used_words(const FlashWork& work) { return work.words; }
  static long round_words(long words) { return (words + kTileRows - 1) / kTileRows * kTileRows; }

  /// Rows beyond `rows` up to a multiple of 32 are computed too: they have room, and no reader.
  static void product(const char* x, long x_stride, long rows, const char* w, long w_stride,
                      long vectors, long words, float* y, long y_stride, bool fresh) {
    for (long v = 0; v < vectors; v += 2) {
      for (long r = 0; r < rows; r += 2 * kTileRows) {
        const char* from = x + r * x_stride;
        float* to = y + r * y_stride + v * kLanes;
        if (vectors - v >= 2) {
          square<2>(from, x_stride, w + v * kTileBytes, w_stride, words, to, y_stride, fresh);
        } else {
          square<1>(from, x_stride, w + v * kTileBytes, w_stride, words, to, y_stride, fresh);
        }
      }
    }
  }

  template <int C>
  static void square(const char* x, long x_stride, const char* w, long w_stride, long words,
                     float* y, long y_stride, bool fresh) {
    const long stride = y_stride * static_cast<long>(sizeof(float));
    float* below = y + kTileRows * y_stride;
    // The tile loads of gcc 12 do not say that they read memory.
    asm volatile("" ::: "memory");
    if (fresh) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    } else {
      _tile_loadd(0, y, stride);
      _tile_loadd(2, below, stride);
      if constexpr (C == 2) {
        _tile_loadd(1, y + kLanes, stride);
        _tile_loadd(3, below + kLanes, stride);
      }
    }
    for (long word = 0; word < words; word += kTileRows) {
      _tile_loadd(4, x, x_stride);
      _tile_loadd(6, w, w_stride);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(5, x + kTileRows * x_stride, x_stride);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (C == 2) {
        _tile_loadd(7, w + kTileBytes, w_stride);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
      }
      x += kTileRows * kWordBytes;
      w += kTileRows * w_stride;
    }
    _tile_stored(0, y, stride);
    _tile_stored(2, below, stride);
    if constexpr (C == 2) {
      _tile_stored(1, y + kLanes, stride);
      _tile_stored(3, below + kLanes, stride);
    }
    asm volatile("" ::: "memory");
  }
};

}  // namespace

namespace amx {
const FlashKernel kTileFlash = FlashLoop<TileWords>::kernel(64);
}

}  // namespace tenon::kernels::cpu::attention
