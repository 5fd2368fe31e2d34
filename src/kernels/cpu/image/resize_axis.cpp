#include "kernels/cpu/image/resize_axis.h"

#include <algorithm>
#include <cmath>

namespace tenon::kernels::cpu {
namespace {

Coordinates coordinates_named(std::string_view name) {
  if (name == "half_pixel_symmetric") return Coordinates::half_pixel_symmetric;
  if (name == "pytorch_half_pixel") return Coordinates::pytorch_half_pixel;
  if (name == "align_corners") return Coordinates::align_corners;
  if (name == "asymmetric") return Coordinates::asymmetric;
  if (name == "tf_crop_and_resize") return Coordinates::crop_and_resize;
  return Coordinates::half_pixel;
}

Nearest nearest_named(std::string_view name) {
  if (name == "round_prefer_ceil") return Nearest::prefer_ceil;
  if (name == "floor") return Nearest::floor;
  return name == "ceil" ? Nearest::ceil : Nearest::prefer_floor;
}

double triangle(double x) { return std::fmax(0, 1 - std::fabs(x)); }

// Keys' cubic with the free parameter a.
double keys(double a, double x) {
  x = std::fabs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

}  // namespace

ResizeRule::ResizeRule(const Attributes& attributes) {
  const std::string named = attributes.get_string("mode", "nearest");
  mode = named == "linear"  ? ResizeMode::linear
         : named == "cubic" ? ResizeMode::cubic
                            : ResizeMode::nearest;
  coordinates =
      coordinates_named(attributes.get_string("coordinate_transformation_mode", "half_pixel"));
  nearest = nearest_named(attributes.get_string("nearest_mode", "round_prefer_floor"));
  antialias = attributes.get_int("antialias", 0) != 0;
  exclude_outside = attributes.get_int("exclude_outside", 0) != 0;
  cubic = static_cast<double>(attributes.get_float("cubic_coeff_a", -0.75F));
  extrapolation = static_cast<double>(attributes.get_float("extrapolation_value", 0.0F));
}

double ResizeAxis::place(const ResizeRule& rule, std::int64_t index) const noexcept {
  const auto x = static_cast<double>(index);
  const auto size = static_cast<double>(in);
  const double resized = scale * size;  // before it was rounded to a size
  switch (rule.coordinates) {
    case Coordinates::align_corners:
      return resized == 1 ? 0 : x * (size - 1) / (resized - 1);
    case Coordinates::asymmetric:
      return x / scale;
    case Coordinates::crop_and_resize: {
      const double length = (region_end - region_begin) * (size - 1);
      const double inside = resized == 1 ? length / 2 : x * length / (resized - 1);
      return inside + region_begin * (size - 1);
    }
    case Coordinates::pytorch_half_pixel:
      if (resized == 1) return 0;
      break;
    case Coordinates::half_pixel_symmetric:
      return size / 2 * (1 - static_cast<double>(out) / resized) + (x + 0.5) / scale - 0.5;
    case Coordinates::half_pixel:
      break;
  }
  return (x + 0.5) / scale - 0.5;
}

std::int64_t ResizeAxis::nearest(const ResizeRule& rule, std::int64_t index) const noexcept {
  const double at = place(rule, index);
  double chosen = std::floor(at);
  const double rest = at - chosen;
  switch (rule.nearest) {
    case Nearest::prefer_floor:
      chosen += rest > 0.5 ? 1 : 0;
      break;
    case Nearest::prefer_ceil:
      chosen += rest >= 0.5 ? 1 : 0;
      break;
    case Nearest::ceil:
      chosen += rest > 0 ? 1 : 0;
      break;
    case Nearest::floor:
      break;
  }
  return static_cast<std::int64_t>(std::clamp(chosen, 0.0, static_cast<double>(in - 1)));
}

ResizeAxis::Taps ResizeAxis::taps(const ResizeRule& rule, std::int64_t index) const noexcept {
  Taps taps;
  taps.place = place(rule, index);
  taps.outside = rule.coordinates == Coordinates::crop_and_resize &&
                 !(taps.place >= 0 && taps.place <= static_cast<double>(in - 1));
  if (taps.outside) return taps;
  const double support = rule.mode == ResizeMode::cubic ? 2 : 1;
  if (rule.antialias) taps.narrowing = std::fmin(scale, 1);
  const double reach = std::ceil(support / taps.narrowing);
  const double first = std::floor(taps.place) - reach + 1;
  taps.first = static_cast<std::int64_t>(first);
  taps.count = static_cast<std::int64_t>(2 * reach);
  if (rule.antialias || rule.exclude_outside) {
    taps.sum = 0;
    for (std::int64_t i = 0; i < taps.count; ++i) taps.sum += weight(rule, taps, i);
  }
  return taps;
}

double ResizeAxis::weight(const ResizeRule& rule, const Taps& taps, std::int64_t i) const noexcept {
  const std::int64_t element = taps.first + i;
  if (rule.exclude_outside && (element < 0 || element >= in)) return 0;
  const double distance = (static_cast<double>(element) - taps.place) * taps.narrowing;
  return rule.mode == ResizeMode::cubic ? keys(rule.cubic, distance) : triangle(distance);
}

}  // namespace tenon::kernels::cpu
