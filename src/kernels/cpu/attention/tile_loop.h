// The loops of a tile, written once over an instruction set's vectors. Everything is in an unnamed
// namespace: each file that includes this gets its own copy, compiled for its own instructions.
#pragma once

#include "kernels/cpu/attention/tile.h"

namespace tenon::kernels::cpu::attention {
namespace {

constexpr int kTokensPerPage = 16;
constexpr int kBlockPages = kBlockTokens / kTokensPerPage;
constexpr float kLowest = -__builtin_inff();

struct Block {
  const std::byte* keys[kBlockPages];
  const std::byte* values[kBlockPages];
  std::int64_t first;  // token
  int tokens;          // 1 .. kBlockTokens
};

/// S supplies: Reg, kLanes, kPages(rows) and kVectors(rows) (how many pages or value vectors fit
/// the registers beside so many rows), arithmetic on Reg, and for its cache type Raw, Operand,
/// kStep, kElementBytes, kOperandBytes, load, load_first, broadcast, madd and narrow.
template <typename S>
struct TileLoop {
  using Reg = typename S::Reg;
  static constexpr int kPageVectors = kTokensPerPage / S::kLanes;
  static constexpr int kVectorBytes = S::kLanes * S::kStep * S::kElementBytes;
  static constexpr int kRowVectors = kBlockTokens / S::kLanes;

  /// scores[r][16 page + token] = sum_d queries[r][d] keys[d][token], d rising: the order is the
  /// same for every R and P.
  template <int R, int P>
  static void score(const std::byte* queries, const std::byte* const* keys, std::int64_t steps,
                    float* scores) {
    Reg sum[R][P * kPageVectors];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < P * kPageVectors; ++v) sum[r][v] = S::zero();
    }
    for (std::int64_t d = 0; d < steps; ++d) {
      typename S::Raw key[P * kPageVectors];
#pragma GCC unroll 8
      for (int v = 0; v < P * kPageVectors; ++v) {
        key[v] =
            S::load(keys[v / kPageVectors] + (d * kPageVectors + v % kPageVectors) * kVectorBytes);
      }
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const auto query = S::broadcast(queries + (d * kQueryBlock + r) * S::kOperandBytes);
#pragma GCC unroll 8
        for (int v = 0; v < P * kPageVectors; ++v) sum[r][v] = S::madd(sum[r][v], key[v], query);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < P * kPageVectors; ++v) {
        S::store(scores + r * kBlockTokens + v * S::kLanes, sum[r][v]);
      }
    }
  }

  template <int R>
  static void score_rows(const std::byte* queries, const Block& block, std::int64_t steps,
                         float* scores) {
    constexpr int kMost = S::kPages(R);
    const int pages = (block.tokens + kTokensPerPage - 1) / kTokensPerPage;
    int page = 0;
    for (; page + kMost <= pages; page += kMost) {
      score<R, kMost>(queries, block.keys + page, steps, scores + page * kTokensPerPage);
    }
    for (; page < pages; ++page) {
      score<R, 1>(queries, block.keys + page, steps, scores + page * kTokensPerPage);
    }
  }

  /// Turns a row of scores into weights 2^(score - highest) in place, zero from token `visible`
  /// on; returns what the sums so far must be multiplied by.
  static float soften(float* row, std::int64_t visible, float& highest, float& total) {
    Reg top = S::set(kLowest);
    for (int v = 0; v < kRowVectors; ++v) {
      const Reg seen = S::keep_first(S::read(row + v * S::kLanes), visible - v * S::kLanes);
      S::store(row + v * S::kLanes, seen);
      top = S::max(top, seen);
    }
    const float before = highest;
    const float here = S::highest(top);
    // A NaN score must reach the weights; comparisons that fail for NaN keep it.
    highest = here <= before ? before : here;
    const float shift = highest == kLowest ? 0.0F : highest;
    Reg sum = S::zero();
    for (int v = 0; v < kRowVectors; ++v) {
      const Reg weight = S::power_of_two(S::subtract(S::read(row + v * S::kLanes), S::set(shift)));
      S::store(row + v * S::kLanes, weight);
      sum = S::add(sum, weight);
    }
    const float factor = S::first(S::power_of_two(S::set(before - shift)));
    total = total * factor + S::total(sum);
    S::narrow(row);
    return factor;
  }

  /// sums[r][v] = sums[r][v] * factors[r] + sum_t weights[r][t] values[t][v], t rising.
  template <int R, int N>
  static void accumulate(const Block& block, const float* weights, const float* factors,
                         std::int64_t first_vector, std::int64_t padded_dim, float* sums) {
    Reg sum[R][N];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < N; ++v) {
        sum[r][v] = S::multiply(S::read(sums + r * padded_dim + v * S::kLanes), S::set(factors[r]));
      }
    }
    const std::int64_t row_bytes = padded_dim * S::kStep * S::kElementBytes;
    const auto step = [&](int t, auto load) __attribute__((always_inline)) {
      const std::byte* row = block.values[t / kTokensPerPage] +
                             t % kTokensPerPage / S::kStep * row_bytes +
                             first_vector * kVectorBytes;
      typename S::Raw value[N];
#pragma GCC unroll 8
      for (int v = 0; v < N; ++v) value[v] = load(row + v * kVectorBytes);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const auto weight =
            S::broadcast(reinterpret_cast<const std::byte*>(weights + r * kBlockTokens) +
                         t / S::kStep * S::kOperandBytes);
#pragma GCC unroll 8
        for (int v = 0; v < N; ++v) sum[r][v] = S::madd(sum[r][v], value[v], weight);
      }
    };
    int t = 0;
    for (; t + S::kStep <= block.tokens; t += S::kStep) step(t, [](auto p) { return S::load(p); });
    // The other half of the last pair was never written: it may hold anything, NaN included.
    if (t < block.tokens) step(t, [](auto p) { return S::load_first(p); });
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < N; ++v) S::store(sums + r * padded_dim + v * S::kLanes, sum[r][v]);
    }
  }

  template <int R>
  static void accumulate_rows(const Block& block, const float* weights, const float* factors,
                              std::int64_t padded_dim, float* sums) {
    constexpr int kMost = S::kVectors(R);
    const std::int64_t vectors = padded_dim / S::kLanes;
    std::int64_t v = 0;
    for (; v + kMost <= vectors; v += kMost) {
      accumulate<R, kMost>(block, weights, factors, v, padded_dim, sums + v * S::kLanes);
    }
    for (; v < vectors; ++v) {
      accumulate<R, 1>(block, weights, factors, v, padded_dim, sums + v * S::kLanes);
    }
  }

  template <int R>
  static void rows(const TileWork& work, const Block& block, int first) {
    float* scores = work.scores + first * kBlockTokens;
    float* sums = work.sums + first * work.padded_dim;
    const std::int64_t steps = work.dim / S::kStep;
    const std::byte* queries = work.queries + first * steps * S::kOperandBytes;
    score_rows<R>(queries, block, steps, scores);
    float factors[R];
    for (int r = 0; r < R; ++r) {
      const std::int64_t limit = work.limits[first + r];
      const std::int64_t end = block.first + block.tokens;
      const std::int64_t visible = (limit < end ? limit : end) - block.first;
      factors[r] = soften(scores + r * kBlockTokens, visible, work.highest[first + r],
                          work.totals[first + r]);
    }
    accumulate_rows<R>(block, scores, factors, work.padded_dim, sums);
  }

  static void attend(const TileWork& work) {
    for (int i = 0; i < work.count; ++i) {
      work.highest[i] = kLowest;
      work.totals[i] = 0.0F;
    }
    for (std::int64_t i = 0; i < work.count * work.padded_dim; ++i) work.sums[i] = 0.0F;

    Block block;
    for (block.first = work.begin; block.first < work.end; block.first += kBlockTokens) {
      const std::int64_t left = work.end - block.first;
      block.tokens = static_cast<int>(left < kBlockTokens ? left : kBlockTokens);
      for (int page = 0; page * kTokensPerPage < block.tokens; ++page) {
        const std::byte* at =
            work.cache + static_cast<std::size_t>(work.pages[block.first / kTokensPerPage + page]) *
                             work.page_bytes;
        block.keys[page] = at + work.key_offset;
        block.values[page] = at + work.value_offset;
      }
      int i = 0;
      for (; i + kQueryBlock <= work.count; i += kQueryBlock) rows<kQueryBlock>(work, block, i);
      if (work.count - i == 3) rows<3>(work, block, i);
      if (work.count - i == 2) rows<2>(work, block, i);
      if (work.count - i == 1) rows<1>(work, block, i);
    }
  }
};

}  // namespace
}  // namespace tenon::kernels::cpu::attention
