// Sliding windows over the spatial axes of [N, C, spatial...], for convolutions and pools.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kernel.h"

namespace tenon::kernels::reference {

/// The attributes of a window; a vector is empty where the attribute is absent.
struct WindowAttributes {
  std::vector<std::int64_t> kernel, strides, dilations, pads;
  bool same_upper = false;
  bool same_lower = false;
  bool valid = false;

  explicit WindowAttributes(const Attributes& attributes);
};

/// One spatial axis under a window.
struct WindowAxis {
  std::int64_t in = 1;   ///< size of x
  std::int64_t out = 1;  ///< places of the window
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t begin = 0;  ///< padding before
  std::int64_t end = 0;

  std::int64_t extent() const noexcept { return (kernel - 1) * dilation + 1; }
  /// Of x, under tap `tap` of the window at `place`; outside [0, in) in the padding.
  std::int64_t source(std::int64_t place, std::int64_t tap) const noexcept {
    return place * stride + tap * dilation - begin;
  }
  /// Places in [first, last) at which that tap reads x and no padding.
  struct Places {
    std::int64_t first, last;
  };
  Places inside(std::int64_t tap) const noexcept;
};

/// All spatial axes, for actual shapes. Lies on the stack.
struct WindowPlan {
  std::size_t rank = 0;
  std::array<WindowAxis, kMaxRank> axes;
  std::int64_t places = 1;  ///< product of `out`
  std::int64_t taps = 1;    ///< product of `kernel`
  std::int64_t plane = 1;   ///< product of `in`

  /// `kernel` holds the window's sizes; `in` and `out` are spatial sizes.
  WindowPlan(const WindowAttributes& attributes, std::span<const std::int64_t> in,
             std::span<const std::int64_t> out, std::span<const std::int64_t> kernel) noexcept;
};

/// Row-major coordinates of an index.
inline void coordinates_of(std::int64_t index, std::size_t rank, const std::int64_t* sizes,
                           std::int64_t* coordinates) noexcept {
  for (std::size_t i = rank; i-- > 0;) {
    coordinates[i] = index % sizes[i];
    index /= sizes[i];
  }
}

}  // namespace tenon::kernels::reference
