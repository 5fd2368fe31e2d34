#include "kernels/cpu/reference/windows.h"

namespace tenon::kernels::reference {
namespace {

std::int64_t at_or(const std::vector<std::int64_t>& values, std::size_t index,
                   std::int64_t fallback) noexcept {
  return index < values.size() ? values[index] : fallback;
}

std::int64_t ceil_quotient(std::int64_t value, std::int64_t divisor) noexcept {
  return value <= 0 ? -(-value / divisor) : (value + divisor - 1) / divisor;
}

}  // namespace

WindowAttributes::WindowAttributes(const Attributes& attributes)
    : kernel(attributes.get_ints("kernel_shape")),
      strides(attributes.get_ints("strides")),
      dilations(attributes.get_ints("dilations")),
      pads(attributes.get_ints("pads")) {
  const std::string mode = attributes.get_string("auto_pad", "NOTSET");
  same_upper = mode == "SAME_UPPER";
  same_lower = mode == "SAME_LOWER";
  valid = mode == "VALID";
  if (mode != "NOTSET") pads.clear();
}

WindowAxis::Places WindowAxis::inside(std::int64_t tap) const noexcept {
  // place * stride + shift lies in [0, in)
  const std::int64_t shift = tap * dilation - begin;
  const std::int64_t first = std::clamp<std::int64_t>(ceil_quotient(-shift, stride), 0, out);
  const std::int64_t last = std::clamp<std::int64_t>(ceil_quotient(in - shift, stride), first, out);
  return {first, last};
}

WindowPlan::WindowPlan(const WindowAttributes& attributes, std::span<const std::int64_t> in,
                       std::span<const std::int64_t> out,
                       std::span<const std::int64_t> kernel) noexcept
    : rank(in.size()) {
  for (std::size_t i = 0; i < rank; ++i) {
    WindowAxis& axis = axes[i];
    axis.in = in[i];
    axis.out = out[i];
    axis.kernel = kernel[i];
    axis.stride = at_or(attributes.strides, i, 1);
    axis.dilation = at_or(attributes.dilations, i, 1);
    axis.begin = at_or(attributes.pads, i, 0);
    axis.end = at_or(attributes.pads, i + rank, 0);
    if (attributes.same_upper || attributes.same_lower) {
      const std::int64_t total =
          std::max<std::int64_t>(0, (axis.out - 1) * axis.stride + axis.extent() - axis.in);
      axis.begin = attributes.same_upper ? total / 2 : total - total / 2;
      axis.end = total - axis.begin;
    }
    places *= axis.out;
    taps *= axis.kernel;
    plane *= axis.in;
  }
}

}  // namespace tenon::kernels::reference
