// The loops over rows, depth and panels that all register-tiled products share. Included by files
// compiled for an instruction set; `Op`, a type of the including file's own, supplies the
// registers, so every instance stays inside that file.
//
// Op gives:
//   Vector                 the V of VectorActivation, with kLanes and load/store of `count` floats
//   Sum, Weight, Input     accumulator, weights of kLanes columns, one input step for all lanes
//   kMaxRows               rows of a tile; vectors(rows): how many Sums wide a tile of so many is
//   kStreams               panels that one row can work on at once
//   load_sum, store_sum, load_weight, load_input(const char*), dot(Sum, Input, Weight)
//     or, with matrix registers, all of that as add_block<lines>(rows, x, offsets, w, steps, sums,
//     fetch)
//   result(scratch, product, row, column): the sums as floats, kLanes of them
#pragma once

#include <xmmintrin.h>

#include "kernels/cpu/linear/product.h"
#include "kernels/cpu/linear/vector_activation.h"

namespace tenon::kernels::cpu::linear {

template <typename Op>
struct TileProduct {
  static constexpr long kLanes = Op::Vector::kLanes;
  static constexpr long kCacheLine = 64;
  // With several tiles of rows, a block of this many steps (128 KiB) is used by all tiles from the
  // second-level cache, while the next block is fetched.
  static constexpr long kBlockSteps = 512;

  // Adds `steps` steps to the sums of R rows by C vectors, and touches kLines lines a step from
  // `fetch` on. C vectors beyond one panel's width go on in the next panels, `panel_bytes` apart,
  // whose sums follow those of this one.
  template <int R, int C, int kLines>
  static void tile(const char* x, const long* offsets, const char* w, long panel_bytes, long steps,
                   char* sums, const char* fetch) {
    constexpr int kPerPanel = kPanelColumns / kLanes;
    const auto sums_at = [sums](int r, int c) {
      return sums + (c / kPerPanel * R + r) * kPanelRowBytes + c % kPerPanel * kLanes * 4;
    };
    typename Op::Sum acc[R][C];
    const char* rows_x[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      rows_x[r] = x + offsets[r];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) acc[r][c] = Op::load_sum(sums_at(r, c));
    }
    for (long at = 0; at < steps * kStepBytes; at += kStepBytes) {
      typename Op::Weight weight[C];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        weight[c] = Op::load_weight(w + c / kPerPanel * panel_bytes + c % kPerPanel * kLanes * 4);
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const typename Op::Input input = Op::load_input(rows_x[r] + at);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) acc[r][c] = Op::dot(acc[r][c], input, weight[c]);
      }
#pragma GCC unroll 4
      for (int line = 0; line < kLines; ++line) {
        _mm_prefetch(fetch + line * kCacheLine, _MM_HINT_T1);
      }
      fetch += kLines * kCacheLine;
      w += kPanelRowBytes;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) Op::store_sum(sums_at(r, c), acc[r][c]);
    }
  }

  // The columns of a panel that are wanted, in strips as wide as the registers allow.
  template <int R, int kLines>
  static void strips(long width, const char* x, const long* offsets, const char* w, long steps,
                     char* sums, const char* fetch) {
    constexpr int kVectors = Op::vectors(R);
    if (width <= kLanes) return tile<R, 1, kLines>(x, offsets, w, 0, steps, sums, fetch);
    constexpr long kStripBytes = kVectors * kLanes * 4;
    for (long strip = 0; strip < kPanelRowBytes; strip += kStripBytes) {
      if (strip == 0) {
        tile<R, kVectors, kLines>(x, offsets, w, 0, steps, sums, fetch);
      } else {
        tile<R, kVectors, 0>(x, offsets, w + strip, 0, steps, sums + strip, fetch);
      }
    }
  }

  template <int kLines>
  static void rows(long count, long width, const char* x, const long* offsets, const char* w,
                   long steps, char* sums, const char* fetch) {
    if constexpr (requires {
                    Op::template add_block<kLines>(count, x, offsets, w, steps, sums, fetch);
                  }) {
      Op::template add_block<kLines>(count, x, offsets, w, steps, sums, fetch);
    } else {
      rows_in_vectors<kLines>(count, width, x, offsets, w, steps, sums, fetch);
    }
  }

  template <int kLines>
  static void rows_in_vectors(long count, long width, const char* x, const long* offsets,
                              const char* w, long steps, char* sums, const char* fetch) {
    switch (count) {
      case 1:
        return strips<1, kLines>(width, x, offsets, w, steps, sums, fetch);
      case 2:
        return strips<2, kLines>(width, x, offsets, w, steps, sums, fetch);
      case 3:
        return strips<3, kLines>(width, x, offsets, w, steps, sums, fetch);
      case 4:
        return strips<4, kLines>(width, x, offsets, w, steps, sums, fetch);
      case 5:
        if constexpr (Op::kMaxRows >= 5)
          strips<5, kLines>(width, x, offsets, w, steps, sums, fetch);
        return;
      default:
        if constexpr (Op::kMaxRows >= 6)
          strips<6, kLines>(width, x, offsets, w, steps, sums, fetch);
    }
  }

  using Activate = VectorActivation<typename Op::Vector>;

  template <int kActivation>
  static typename Op::Vector::T activate(typename Op::Vector::T value) {
    if constexpr (kActivation == 1) return Activate::relu(value);
    if constexpr (kActivation == 2) return Activate::gelu(value);
    if constexpr (kActivation == 3) return Activate::gelu_tanh(value);
    if constexpr (kActivation == 4) return Activate::silu(value);
    return value;
  }

  template <int kActivation>
  static void finish_as(const Product& product, long row0, long row1, long panel,
                        const char* sums) {
    using V = typename Op::Vector;
    const long column0 = panel * kPanelColumns;
    const long width = product.columns - column0;
    for (long row = row0; row < row1; ++row, sums += kPanelRowBytes) {
      const long at = row * product.columns + column0;
      const float* group_bias =
          product.group_bias == nullptr
              ? nullptr
              : product.group_bias + row / product.group_rows * product.columns + column0;
      for (long c = 0; c < kPanelColumns && c < width; c += kLanes) {
        const long count = width - c;
        auto value = Op::result(sums + c * 4, product, row, column0 + c);
        if (product.bias != nullptr) {
          value = V::add(value, V::load(product.bias + column0 + c, count));
        }
        if (group_bias != nullptr) value = V::add(value, V::load(group_bias + c, count));
        value = activate<kActivation>(value);
        if (product.residual != nullptr) {
          value = V::add(value, V::load(product.residual + at + c, count));
        }
        V::store(product.y + at + c, count, value);
      }
    }
  }

  static void finish(const Product& product, long row0, long row1, long panel, const char* sums) {
    switch (product.activation) {
      case 1:
        return finish_as<1>(product, row0, row1, panel, sums);
      case 2:
        return finish_as<2>(product, row0, row1, panel, sums);
      case 3:
        return finish_as<3>(product, row0, row1, panel, sums);
      case 4:
        return finish_as<4>(product, row0, row1, panel, sums);
      default:
        return finish_as<0>(product, row0, row1, panel, sums);
    }
  }

  static void clear(char* sums, long row_count) {
    typename Op::Vector::T zero = Op::Vector::set(0.0F);
    for (long i = 0; i < row_count * kPanelColumns; i += kLanes) {
      Op::Vector::store(reinterpret_cast<float*>(sums) + i, kLanes, zero);
    }
  }

  // With a row or two the panels stream once from memory: several at a time keep more pages open
  // than the hardware's prefetchers follow in one stream. Does the first panels of the share, as
  // many as make whole groups; says how many.
  template <int R>
  static long stream(const Product& product, const Share& share, char* sums) {
    constexpr int kPanels = Op::kStreams / R;
    if constexpr (kPanels < 2) {
      return 0;
    } else {
      const long panel_bytes = product.panel_steps * kPanelRowBytes;
      const long groups = (share.panel_end - share.panel_begin) / kPanels;
      const InputRuns& runs = product.runs;
      for (long group = 0; group < groups; ++group) {
        const long panel = share.panel_begin + group * kPanels;
        const char* w = reinterpret_cast<const char*>(product.panels) + panel * panel_bytes;
        clear(sums, R * kPanels);
        for (long run = 0; run < runs.runs; ++run, w += runs.run_steps * kPanelRowBytes) {
          tile<R, kPanels * kPanelColumns / kLanes, 0>(
              reinterpret_cast<const char*>(product.x) + runs.run_offset[run],
              runs.row_offset + share.row_begin, w, panel_bytes, runs.run_steps, sums, nullptr);
        }
        for (long i = 0; i < kPanels; ++i) {
          finish(product, share.row_begin, share.row_end, panel + i, sums + i * R * kPanelRowBytes);
        }
      }
      return groups * kPanels;
    }
  }

  static void multiply(const Product& product, const Share& share, std::byte* scratch) noexcept {
    char* sums = reinterpret_cast<char*>(scratch);
    const long row_count = share.row_end - share.row_begin;
    Share rest = share;
    if (row_count == 1) rest.panel_begin += stream<1>(product, share, sums);
    if (row_count == 2) rest.panel_begin += stream<2>(product, share, sums);

    const long tiles = (row_count + Op::kMaxRows - 1) / Op::kMaxRows;
    const bool one_pass =
        tiles == 1 && Op::vectors(static_cast<int>(row_count)) * kLanes == kPanelColumns;
    const long block = one_pass ? product.runs.run_steps : kBlockSteps;
    for (long panel = rest.panel_begin; panel < rest.panel_end; ++panel) {
      clear(sums, row_count);
      multiply_panel(product, share, panel, block, tiles, sums);
      finish(product, share.row_begin, share.row_end, panel, sums);
    }
  }

  static void multiply_panel(const Product& product, const Share& share, long panel, long block,
                             long tiles, char* sums) {
    const InputRuns& runs = product.runs;
    const char* w = reinterpret_cast<const char*>(product.panels) +
                    panel * product.panel_steps * kPanelRowBytes;
    for (long run = 0; run < runs.runs; ++run) {
      const char* x = reinterpret_cast<const char*>(product.x) + runs.run_offset[run];
      for (long step = 0; step < runs.run_steps; step += block) {
        const long steps = runs.run_steps - step < block ? runs.run_steps - step : block;
        block_of_rows(x + step * kStepBytes, runs.row_offset + share.row_begin,
                      share.row_end - share.row_begin, product.columns - panel * kPanelColumns, w,
                      steps, tiles, sums);
        w += steps * kPanelRowBytes;
      }
    }
  }

  // One block of weights against all rows, in tiles of nearly equal height.
  static void block_of_rows(const char* x, const long* offsets, long row_count, long width,
                            const char* w, long steps, long tiles, char* sums) {
    const char* next = w + steps * kPanelRowBytes;
    for (long t = 0; t < tiles; ++t) {
      const long first = row_count * t / tiles;
      const long count = row_count * (t + 1) / tiles - first;
      const long* rows_at = offsets + first;
      char* rows_sums = sums + first * kPanelRowBytes;
      // The fetch of the next block is spread over the first tiles.
      if (tiles == 1) {
        rows<0>(count, width, x, rows_at, w, steps, rows_sums, next);
      } else if (tiles < 4 && t < 2) {
        rows<2>(count, width, x, rows_at, w, steps, rows_sums, next + t * 2 * kCacheLine * steps);
      } else if (tiles >= 4 && t < 4) {
        rows<1>(count, width, x, rows_at, w, steps, rows_sums, next + t * kCacheLine * steps);
      } else {
        rows<0>(count, width, x, rows_at, w, steps, rows_sums, next);
      }
    }
  }
};

}  // namespace tenon::kernels::cpu::linear
