// The normalizations, written once over an instruction set's vectors. Everything is in an unnamed
// namespace: each file that includes this gets its own copy, compiled for its own instructions.
#pragma once

#include "kernels/cpu/normalization/fast.h"

namespace tenon::kernels::cpu::normalization {
namespace {

/// S supplies Wide, a vector of kLanes doubles, with arithmetic, and widen and narrow for as many
/// floats.
template <typename S>
struct Rows {
  using Wide = typename S::Wide;
  static constexpr int kSums = 4;  // independent ones hide the latency of the addition

  /// sum of term(x[i]) over the row; `one` is the same for a single element.
  template <typename Term, typename One>
  static double sum(const float* x, std::int64_t length, Term term, One one) {
    Wide sums[kSums];
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) sums[s] = S::set(0.0);
    std::int64_t i = 0;
    for (; i + kSums * S::kLanes <= length; i += kSums * S::kLanes) {
#pragma GCC unroll 4
      for (int s = 0; s < kSums; ++s) sums[s] = term(S::widen(x + i + s * S::kLanes), sums[s]);
    }
    double rest = 0.0;
    for (; i < length; ++i) rest += one(static_cast<double>(x[i]));
    return S::total(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3]))) + rest;
  }

  /// y = (x - mean) * inverse * scale + bias
  static void apply(const NormRow& row, double mean, double inverse) {
    const Wide centre = S::set(mean);
    const Wide factor = S::set(inverse);
    std::int64_t i = 0;
    for (; i + S::kLanes <= row.length; i += S::kLanes) {
      const Wide centred = S::multiply(S::subtract(S::widen(row.x + i), centre), factor);
      const Wide bias = row.bias != nullptr ? S::widen(row.bias + i) : S::set(0.0);
      S::narrow(row.y + i, S::fma(centred, S::widen(row.scale + i), bias));
    }
    for (; i < row.length; ++i) {
      const double centred = (static_cast<double>(row.x[i]) - mean) * inverse;
      const double bias = row.bias != nullptr ? static_cast<double>(row.bias[i]) : 0.0;
      row.y[i] = static_cast<float>(centred * static_cast<double>(row.scale[i]) + bias);
    }
  }

  static void rms(const NormRow& row) {
    const double squares = sum(
        row.x, row.length, [](Wide x, Wide so_far) { return S::fma(x, x, so_far); },
        [](double x) { return x * x; });
    const double mean = squares / static_cast<double>(row.length);
    apply(row, 0.0, 1.0 / __builtin_sqrt(mean + row.epsilon));
  }

  static void layer(const NormRow& row) {
    const auto n = static_cast<double>(row.length);
    const double mean =
        sum(
            row.x, row.length, [](Wide x, Wide so_far) { return S::add(x, so_far); },
            [](double x) { return x; }) /
        n;
    const Wide centre = S::set(mean);
    const double squares = sum(
        row.x, row.length,
        [centre](Wide x, Wide so_far) {
          const Wide centred = S::subtract(x, centre);
          return S::fma(centred, centred, so_far);
        },
        [mean](double x) { return (x - mean) * (x - mean); });
    apply(row, mean, 1.0 / __builtin_sqrt(squares / n + row.epsilon));
  }

  static constexpr NormRows kRows = {rms, layer};
};

}  // namespace
}  // namespace tenon::kernels::cpu::normalization
