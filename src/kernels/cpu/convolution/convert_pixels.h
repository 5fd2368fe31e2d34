// Conversion of pixels and the depthwise product, written once over an instruction set's vectors.
// Everything is in an unnamed namespace: each file that includes this gets its own copy.
#pragma once

#include "kernels/cpu/convolution/convert.h"
#include "kernels/cpu/linear/tile_product.h"
#include "kernels/cpu/linear/vector_activation.h"

namespace tenon::kernels::cpu::convolution {
namespace {

/// S supplies Vector (the V of VectorActivation with load and store), and put_bf16 and put_int8,
/// which store the first `count` values of a register in that type.
template <typename S>
struct Converter {
  using V = typename S::Vector;
  using T = typename V::T;

  static inline T value(const Pixels& pixels, const float* x, long channel, long count) {
    T made = V::load(x + channel, count);
    if (pixels.scale != nullptr) {
      made = V::fma(made, V::load(pixels.scale + channel, count),
                    V::load(pixels.shift + channel, count));
    }
    return pixels.silu ? linear::VectorActivation<V>::silu(made) : made;
  }

  /// put(to, channel, count, value) for each vector and copy.
  template <typename Put>
  static inline void for_each(const Pixels& pixels, const Stored& to, const Put& put) {
    for (long p = 0; p < pixels.pixels; ++p) {
      const float* x = pixels.x + p * pixels.channels;
      std::byte* out = to.out + p * to.copies * to.stride;
      for (long c = 0; c < pixels.channels; c += V::kLanes) {
        const long count = pixels.channels - c;
        const T made = value(pixels, x, c, count);
        put(out, c, count, made);
        if (to.copies == 2) put(out + to.stride, c, count, made);
      }
    }
  }

  static void fp32(const Pixels& pixels, const Stored& to) noexcept {
    for_each(pixels, to, [](std::byte* out, long c, long count, T made) {
      V::store(reinterpret_cast<float*>(out) + c, count, made);
    });
  }
  static void bf16(const Pixels& pixels, const Stored& to) noexcept {
    for_each(pixels, to, [](std::byte* out, long c, long count, T made) {
      S::put_bf16(out + c * 2, count, made);
    });
  }
  static void int8(const Pixels& pixels, const Stored& to) noexcept {
    const T inverse = V::set(to.inverse);
    for_each(pixels, to, [inverse, zero = to.zero](std::byte* out, long c, long count, T made) {
      S::put_int8(out + c, count, V::mul(made, inverse), zero);
    });
  }

  static ValueRange range(const Pixels& pixels) noexcept {
    T low = V::set(0.0F);
    T high = low;
    T sound = low;  // x - x: NaN where x is NaN or infinite
    for (long p = 0; p < pixels.pixels; ++p) {
      const float* x = pixels.x + p * pixels.channels;
      for (long c = 0; c < pixels.channels; c += V::kLanes) {
        const long count = pixels.channels - c;
        T made = value(pixels, x, c, count);
        if (count < V::kLanes) made = S::first(made, count);
        low = V::min(low, made);
        high = V::max(high, made);
        sound = V::add(sound, V::sub(made, made));
      }
    }
    return total(low, high, sound);
  }

  static ValueRange total(T low, T high, T sound) {
    float lows[V::kLanes];
    float highs[V::kLanes];
    float sounds[V::kLanes];
    V::store(lows, V::kLanes, low);
    V::store(highs, V::kLanes, high);
    V::store(sounds, V::kLanes, sound);
    for (long i = 0; i < V::kLanes; ++i) {
      if (sounds[i] != 0.0F) return {__builtin_nanf(""), __builtin_nanf("")};
      if (lows[i] < lows[0]) lows[0] = lows[i];
      if (highs[i] > highs[0]) highs[0] = highs[i];
    }
    return {lows[0], highs[0]};
  }
};

/// y[r, c] = sum over taps of x[r, tap, c] w[tap, c]: a run for each tap, weights [taps][columns].
template <typename Sums>
void multiply_depthwise(const linear::Product& product, const linear::Share& share,
                        std::byte* scratch) noexcept {
  using V = typename Sums::Vector;
  using Tiles = linear::TileProduct<Sums>;
  auto* sums = reinterpret_cast<float*>(scratch);
  const auto* weights = reinterpret_cast<const float*>(product.panels);
  for (long panel = share.panel_begin; panel < share.panel_end; ++panel) {
    const long first = panel * linear::kPanelColumns;
    for (long row = share.row_begin; row < share.row_end; ++row) {
      float* to = sums + (row - share.row_begin) * linear::kPanelColumns;
      const std::byte* pixel = product.x + product.runs.row_offset[row];
      for (long c = 0; c < linear::kPanelColumns; c += V::kLanes) {
        const long column = first + c;
        const long count = product.columns - column;
        typename V::T sum = V::set(0.0F);
        for (long tap = 0; count > 0 && tap < product.runs.runs; ++tap) {
          const auto* x = reinterpret_cast<const float*>(pixel + product.runs.run_offset[tap]);
          sum = V::fma(V::load(x + column, count),
                       V::load(weights + tap * product.columns + column, count), sum);
        }
        V::store(to + c, V::kLanes, sum);
      }
    }
    Tiles::finish(product, share.row_begin, share.row_end, panel,
                  reinterpret_cast<const char*>(sums));
  }
}

}  // namespace
}  // namespace tenon::kernels::cpu::convolution
