// The loops of tenon.Attention, written once over an instruction set's vectors. Everything is in an
// unnamed namespace: each file that includes this gets its own copy, compiled for its own
// instructions.
#pragma once

#include "kernels/cpu/attention/flash.h"

namespace tenon::kernels::cpu::attention {
namespace {

/// S supplies: Reg, kLanes and arithmetic on Reg as for TileLoop; kStep; kMaxRows and kMaxVectors
/// (sums of a tile); Words (kLanes words), load_words(row, left, factor) of a row of floats,
/// load_pairs(row, next, left, left_next), transpose(Words*), store_words, store_first; Weight,
/// load_weight, load_input, dot(sum, input, weight), narrow(weights, to); any_above; used_words and
/// round_words, how many words a product takes; begin and end. Or, with matrix registers, all
/// products as `product`.
template <typename S>
struct FlashLoop {
  using Reg = typename S::Reg;
  static constexpr long kLanes = S::kLanes;
  static constexpr long kVectorBytes = kLanes * kWordBytes;
  // Weights reach 2^8 before sums are scaled anew: most blocks keep the first one's measure.
  static constexpr float kSlack = 8.0F;

  /// y[r][c] (+)= sum over words of x[r][word] w[word][c], R rows by C vectors.
  template <int R, int C>
  static void tile(const char* x, long x_stride, const char* w, long w_stride, long words, float* y,
                   long y_stride, bool fresh) {
    Reg sum[R][C];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c)
        sum[r][c] = fresh ? S::zero() : S::read(y + r * y_stride + c * kLanes);
    }
    for (long word = 0; word < words; ++word) {
      typename S::Weight weight[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) weight[c] = S::load_weight(w + c * kVectorBytes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const auto input = S::load_input(x + r * x_stride);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sum[r][c] = S::dot(sum[r][c], input, weight[c]);
      }
      x += kWordBytes;
      w += w_stride;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) S::store(y + r * y_stride + c * kLanes, sum[r][c]);
    }
  }

  template <int C>
  static void rows_of_tile(long rows, const char* x, long x_stride, const char* w, long w_stride,
                           long words, float* y, long y_stride, bool fresh) {
    switch (rows) {
      case 1:
        return tile<1, C>(x, x_stride, w, w_stride, words, y, y_stride, fresh);
      case 2:
        return tile<2, C>(x, x_stride, w, w_stride, words, y, y_stride, fresh);
      case 3:
        return tile<3, C>(x, x_stride, w, w_stride, words, y, y_stride, fresh);
      case 4:
        return tile<4, C>(x, x_stride, w, w_stride, words, y, y_stride, fresh);
      case 5:
        return tile<5, C>(x, x_stride, w, w_stride, words, y, y_stride, fresh);
      default:
        return tile<6, C>(x, x_stride, w, w_stride, words, y, y_stride, fresh);
    }
  }

  /// All rows, in tiles of nearly equal height, against one strip of at most kMaxVectors vectors.
  static void strip(const char* x, long x_stride, long rows, const char* w, long w_stride,
                    long vectors, long words, float* y, long y_stride, bool fresh) {
    const long tiles = (rows + S::kMaxRows - 1) / S::kMaxRows;
    for (long t = 0; t < tiles; ++t) {
      const long first = rows * t / tiles;
      const long count = rows * (t + 1) / tiles - first;
      const char* from = x + first * x_stride;
      float* to = y + first * y_stride;
      if (vectors == 1) {
        rows_of_tile<1>(count, from, x_stride, w, w_stride, words, to, y_stride, fresh);
      } else if (vectors == 2) {
        rows_of_tile<2>(count, from, x_stride, w, w_stride, words, to, y_stride, fresh);
      } else if constexpr (S::kMaxVectors == 4) {
        if (vectors == 3) {
          rows_of_tile<3>(count, from, x_stride, w, w_stride, words, to, y_stride, fresh);
        } else {
          rows_of_tile<4>(count, from, x_stride, w, w_stride, words, to, y_stride, fresh);
        }
      }
    }
  }

  static void product(const char* x, long x_stride, long rows, const char* w, long w_stride,
                      long vectors, long words, float* y, long y_stride, bool fresh) {
    if constexpr (requires {
                    S::product(x, x_stride, rows, w, w_stride, vectors, words, y, y_stride, fresh);
                  }) {
      S::product(x, x_stride, rows, w, w_stride, vectors, words, y, y_stride, fresh);
    } else {
      for (long v = 0; v < vectors; v += S::kMaxVectors) {
        const long here = vectors - v < S::kMaxVectors ? vectors - v : S::kMaxVectors;
        strip(x, x_stride, rows, w + v * kVectorBytes, w_stride, here, words, y + v * kLanes,
              y_stride, fresh);
      }
    }
  }

  static long blocks_of(long count, long size) { return (count + size - 1) / size; }

  static void pack_queries(const FlashWork& work) {
    for (long r = 0; r < work.rows; ++r) {
      const float* row = work.queries + r * work.query_stride;
      std::byte* to = work.packed_queries + r * work.words * kWordBytes;
      for (long word = 0; word < work.words; word += kLanes) {
        const long at = word * S::kStep;
        S::store_words(to + word * kWordBytes, S::load_words(row + at, work.dim - at, work.factor));
      }
    }
  }

  static void pack_keys(const float* keys, std::int64_t stride, std::int64_t count,
                        std::int64_t dim, std::int64_t words, std::byte* panel) {
    for (long first = 0; first < kPanelKeys; first += kLanes) {
      for (long word = 0; word < words; word += kLanes) {
        const long at = word * S::kStep;
        typename S::Words square[kLanes];
        for (long i = 0; i < kLanes; ++i) {
          const long left = first + i < count ? dim - at : 0;
          square[i] =
              S::load_words(keys + (first + i < count ? first + i : 0) * stride + at, left, 1.0F);
        }
        S::transpose(square);
        for (long i = 0; i < kLanes; ++i)
          S::store_words(panel + ((word + i) * kPanelKeys + first) * kWordBytes, square[i]);
      }
    }
  }

  static void pack_values(const float* values, std::int64_t stride, std::int64_t count,
                          std::int64_t dim, std::int64_t first_word, std::int64_t panel_bytes,
                          std::byte* panels) {
    const long padded = blocks_of(dim, 16) * 16;
    for (long first = 0; first < padded; first += kPanelValues, panels += panel_bytes) {
      const long width = padded - first < kPanelValues ? padded - first : kPanelValues;
      std::byte* to = panels + first_word * width * kWordBytes;
      for (long key = 0; key < kPanelKeys; key += S::kStep, to += width * kWordBytes) {
        const float* row = values + key * stride + first;
        for (long d = 0; d < width; d += kLanes) {
          const long left = dim - first - d;
          S::store_words(to + d * kWordBytes,
                         S::load_pairs(row + d, row + stride + d, key < count ? left : 0,
                                       key + 1 < count ? left : 0));
        }
      }
    }
  }

  static void scale_row(float* row, long count, Reg factor) {
    for (long d = 0; d < count; d += kLanes)
      S::store(row + d, S::multiply(S::read(row + d), factor));
  }

  /// Turns `vectors` vectors of scores into weights 2^(score - highest) in place, packed as words,
  /// zero from key `visible` on. `highest` follows the scores when they pass it by the slack.
  static void soften(float* row, long vectors, long visible, float& highest, float& total,
                     float* sums, long sum_count) {
    if (visible < vectors * kLanes) {
      for (long v = 0; v < vectors; ++v) {
        S::store(row + v * kLanes, S::keep_first(S::read(row + v * kLanes), visible - v * kLanes));
      }
    }
    Reg top = S::read(row);
    for (long v = 1; v < vectors; ++v) top = S::max(top, S::read(row + v * kLanes));
    if (S::any_above(top, S::set(highest + kSlack))) {
      const float here = S::highest(top);
      const float before = highest;
      highest = here <= before ? before : here;
      const float shift = highest == kNothing ? 0.0F : highest;
      if (before != kNothing) {
        const Reg factor = S::power_of_two(S::set(before - shift));
        total *= S::first(factor);
        scale_row(sums, sum_count, factor);
      }
    }
    const Reg shift = S::set(highest == kNothing ? 0.0F : highest);
    Reg sum[S::kStep];
    for (int j = 0; j < S::kStep; ++j) sum[j] = S::zero();
    for (long v = 0; v < vectors; v += S::kStep) {
      Reg weight[S::kStep];
#pragma GCC unroll 2
      for (int j = 0; j < S::kStep; ++j) {
        weight[j] = S::power_of_two(S::subtract(S::read(row + (v + j) * kLanes), shift));
        sum[j] = S::add(sum[j], weight[j]);
      }
      S::narrow(weight, row + v / S::kStep * kLanes);
    }
    if constexpr (S::kStep == 2) sum[0] = S::add(sum[0], sum[1]);
    total += S::total(sum[0]);
  }

  static long limit_of(const FlashWork& work, long row) {
    const long limit = work.first_limit + row;
    return limit < work.key_count ? limit : work.key_count;
  }

  static void soften_rows(const FlashWork& work, long first, long count, long padded) {
    const long vectors = blocks_of(blocks_of(count, kLanes), S::kStep) * S::kStep;
    for (long r = 0; r < work.rows; ++r) {
      float* row = work.scores + r * kFlashBlock;
      if (work.mask != nullptr) {
        work.mask->read(work.mask->context, r, first, count, work.mask_row);
        for (long v = 0; v * kLanes < count; ++v) {
          S::store(row + v * kLanes,
                   S::add(S::read(row + v * kLanes), S::read(work.mask_row + v * kLanes)));
        }
      }
      const long limit = limit_of(work, r) - first;
      soften(row, vectors, limit < count ? limit : count, work.highest[r], work.totals[r],
             work.sums + r * padded, padded);
    }
  }

  static void finish(const FlashWork& work, long padded) {
    for (long r = 0; r < work.rows; ++r) {
      const Reg factor = S::set(work.totals[r] == 0.0F ? 0.0F : 1.0F / work.totals[r]);
      const float* sums = work.sums + r * padded;
      float* out = work.out + r * work.out_stride;
      for (long d = 0; d < work.value_dim; d += kLanes)
        S::store_first(out + d, S::multiply(S::read(sums + d), factor), work.value_dim - d);
    }
  }

  static void attend(const FlashWork& work) {
    const long padded = blocks_of(work.value_dim, 16) * 16;
    const auto* queries = reinterpret_cast<const char*>(work.packed_queries);
    const auto* weights = reinterpret_cast<const char*>(work.scores);
    S::begin();
    pack_queries(work);
    for (long r = 0; r < work.rows; ++r) {
      work.highest[r] = kNothing;
      work.totals[r] = 0.0F;
    }
    const long end = limit_of(work, work.rows - 1);
    for (long first = 0; first < end; first += kFlashBlock) {
      const long count = end - first < kFlashBlock ? end - first : kFlashBlock;
      for (long key = 0; key < count; key += kPanelKeys) {
        const long here = count - key < kPanelKeys ? count - key : kPanelKeys;
        product(queries, work.words * kWordBytes, work.rows,
                reinterpret_cast<const char*>(work.keys) + (first + key) * work.words * kWordBytes,
                kPanelKeys * kWordBytes, blocks_of(here, kLanes), S::used_words(work),
                work.scores + key, kFlashBlock, true);
      }
      soften_rows(work, first, count, padded);
      const long words = S::round_words(blocks_of(count, S::kStep));
      for (long d = 0; d < padded; d += kPanelValues) {
        const long width = padded - d < kPanelValues ? padded - d : kPanelValues;
        const long panel = d * (work.padded_keys / S::kStep) * kWordBytes;
        product(weights, kFlashBlock * kWordBytes, work.rows,
                reinterpret_cast<const char*>(work.values) + panel +
                    first / S::kStep * width * kWordBytes,
                width * kWordBytes, width / kLanes, words, work.sums + d, padded, first == 0);
      }
    }
    finish(work, padded);
    S::end();
  }

  static constexpr float kNothing = -__builtin_inff();
  static constexpr FlashKernel kernel(int rows) {
    return {rows, S::kStep, pack_keys, pack_values, attend};
  }
};

}  // namespace
}  // namespace tenon::kernels::cpu::attention
