// The loops of both operators, written once over an instruction set's vectors. Everything is in an
// unnamed namespace: each file that includes this gets its own copy.
#pragma once

#include "kernels/cpu/group_norm/fast.h"
#include "kernels/cpu/linear/vector_activation.h"

namespace tenon::kernels::cpu::group_norm {
namespace {

/// V is that of VectorActivation with load and store of `count` floats.
template <typename V>
struct Channels {
  using T = typename V::T;
  static constexpr long kFloatPixels = 64;
  static constexpr long kFirstPixels = 16;

  // Adds kPixels pixels to the float sums.
  template <int kPixels>
  static void add(const ChannelSums& work, const float* x) {
    for (long c = 0; c < work.channels; c += V::kLanes) {
      const long count = work.channels - c;
      const T shift = V::load(work.shift + c, V::kLanes);
      T sum = V::load(work.sum + c, V::kLanes);
      T squares = V::load(work.squares + c, V::kLanes);
#pragma GCC unroll 4
      for (int p = 0; p < kPixels; ++p) {
        const T distance = V::sub(V::load(x + p * work.channels + c, count), shift);
        sum = V::add(sum, distance);
        squares = V::fma(distance, distance, squares);
      }
      V::store(work.sum + c, V::kLanes, sum);
      V::store(work.squares + c, V::kLanes, squares);
    }
  }

  static void add_pixels(const ChannelSums& work, const float* x, long pixels) {
    long p = 0;
    for (; p + 4 <= pixels; p += 4) add<4>(work, x + p * work.channels);
    for (; p < pixels; ++p) add<1>(work, x + p * work.channels);
  }

  // Joins `pixels` pixels in the float sums with the `before` that mean and distance hold, and
  // moves the shift to their mean.
  static void join(const ChannelSums& work, long before, long pixels) {
    const auto n = static_cast<double>(pixels);
    const double share = n / static_cast<double>(before + pixels);
    const double between = share * static_cast<double>(before);
    for (long c = 0; c < work.channels; ++c) {
      const double moved = static_cast<double>(work.sum[c]) / n;
      const double mean = static_cast<double>(work.shift[c]) + moved;
      const double apart = mean - work.mean[c];
      work.distance[c] += static_cast<double>(work.squares[c]) -
                          moved * static_cast<double>(work.sum[c]) + apart * apart * between;
      work.mean[c] += apart * share;
      work.shift[c] = static_cast<float>(mean);
      work.sum[c] = 0.0F;
      work.squares[c] = 0.0F;
    }
  }

  static void sum(const ChannelSums& work) noexcept {
    for (long c = 0; c < (work.channels + kChannelUnit - 1) / kChannelUnit * kChannelUnit; ++c) {
      work.shift[c] = work.sum[c] = work.squares[c] = 0.0F;
      work.mean[c] = work.distance[c] = 0.0;
    }
    // The mean of the first pixels is a shift good enough for the first sums.
    const long first = work.pixels < kFirstPixels ? work.pixels : kFirstPixels;
    add_pixels(work, work.x, first);
    for (long c = 0; c < work.channels; ++c) {
      work.shift[c] = work.sum[c] / static_cast<float>(first);
      work.sum[c] = work.squares[c] = 0.0F;
    }
    for (long p = 0; p < work.pixels; p += kFloatPixels) {
      const long pixels = work.pixels - p < kFloatPixels ? work.pixels - p : kFloatPixels;
      add_pixels(work, work.x + p * work.channels, pixels);
      join(work, p, pixels);
    }
  }

  template <int kActivation>
  static void scale_as(const ScaledPixels& work) {
    using Activate = linear::VectorActivation<V>;
    for (long p = 0; p < work.pixels; ++p) {
      const float* x = work.x + p * work.channels;
      float* y = work.y + p * work.channels;
      for (long c = 0; c < work.channels; c += V::kLanes) {
        const long count = work.channels - c;
        T value = V::fma(V::load(x + c, count), V::load(work.scale + c, count),
                         V::load(work.shift + c, count));
        if constexpr (kActivation == 1) value = Activate::relu(value);
        if constexpr (kActivation == 2) value = Activate::gelu(value);
        if constexpr (kActivation == 3) value = Activate::gelu_tanh(value);
        if constexpr (kActivation == 4) value = Activate::silu(value);
        V::store(y + c, count, value);
      }
    }
  }

  static void scale(const ScaledPixels& work) noexcept {
    switch (work.activation) {
      case 1:
        return scale_as<1>(work);
      case 2:
        return scale_as<2>(work);
      case 3:
        return scale_as<3>(work);
      case 4:
        return scale_as<4>(work);
      default:
        return scale_as<0>(work);
    }
  }

  static constexpr GroupKernels kKernels = {sum, scale};
};

}  // namespace
}  // namespace tenon::kernels::cpu::group_norm
