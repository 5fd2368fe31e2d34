// How Resize reads one axis: the place of an output element in the input and the weights around it,
// by the formulas of ONNX's specification of Resize.
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/attributes.h"

namespace tenon::kernels::cpu {

enum class ResizeMode { nearest, linear, cubic };
enum class Coordinates {
  half_pixel,
  half_pixel_symmetric,
  pytorch_half_pixel,
  align_corners,
  asymmetric,
  crop_and_resize
};
enum class Nearest { prefer_floor, prefer_ceil, floor, ceil };

struct ResizeRule {
  ResizeMode mode = ResizeMode::nearest;
  Coordinates coordinates = Coordinates::half_pixel;
  Nearest nearest = Nearest::prefer_floor;
  bool antialias = false;
  bool exclude_outside = false;
  double cubic = -0.75;
  double extrapolation = 0;

  explicit ResizeRule(const Attributes& attributes);
};

struct ResizeAxis {
  std::int64_t in = 1;
  std::int64_t out = 1;
  double scale = 1;
  double region_begin = 0;  ///< of the axis, for crop_and_resize
  double region_end = 1;

  bool changes() const noexcept { return in != out || scale != 1; }
  /// In coordinates of the input, where element i lies at i.
  double place(const ResizeRule& rule, std::int64_t index) const noexcept;
  /// For `nearest`: the element to take.
  std::int64_t nearest(const ResizeRule& rule, std::int64_t index) const noexcept;

  /// Elements first, first + 1, ... (some perhaps outside: those take the edge) and their weights,
  /// which are weight(i) / sum.
  struct Taps {
    std::int64_t first = 0;
    std::int64_t count = 1;
    double place = 0;
    double narrowing = 1;  ///< below 1 when a smoothing filter is stretched
    double sum = 1;
    bool outside = false;  ///< the place has no value but the extrapolation
  };
  Taps taps(const ResizeRule& rule, std::int64_t index) const noexcept;
  /// Of tap i, before division by the sum.
  double weight(const ResizeRule& rule, const Taps& taps, std::int64_t i) const noexcept;
};

}  // namespace tenon::kernels::cpu
