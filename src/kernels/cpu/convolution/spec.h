// What a tenon.Conv asks for: read from its description, completed by the sizes of a call.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/cpu/linear/operands.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::convolution {

/// Places of the inputs of tenon.Conv.
inline constexpr std::size_t kX = 0;           ///< [N, H, W, C]
inline constexpr std::size_t kWeight = 1;      ///< [kh * kw * (C + C2) / group, M]
inline constexpr std::size_t kBias = 2;        ///< [M], optional like all that follow
inline constexpr std::size_t kResidual = 3;    ///< [N, OH, OW, M]
inline constexpr std::size_t kImageBias = 4;   ///< [N, M]
inline constexpr std::size_t kScaleShift = 5;  ///< [N, 2, C + C2]
inline constexpr std::size_t kX2 = 6;          ///< [N, H, W, C2]

struct Axis {
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t pad_before = 0;
  std::int64_t pad_after = 0;

  /// Input elements, padding included, that `outputs` neighbouring results see.
  std::int64_t reach(std::int64_t outputs) const {
    return (outputs - 1) * stride + (kernel - 1) * dilation + 1;
  }
};

/// y = activation(conv(act(x * scale + shift)) + bias + image_bias) + residual, where act is
/// silu or nothing, x is the pictures of both inputs side by side, and padding is 0 after act.
struct ConvSpec {
  Axis vertical;
  Axis horizontal;
  std::int64_t group = 1;
  std::int64_t upsample = 1;   ///< 1 or 2: each pixel is a square of so many, before padding
  std::int64_t channels = 0;   ///< of x
  std::int64_t channels2 = 0;  ///< of x2, 0 when it is absent
  std::int64_t columns = 0;    ///< M
  linear::Activation activation = linear::Activation::none;
  bool input_silu = false;

  std::int64_t all_channels() const { return channels + channels2; }
  std::int64_t depth() const {
    return vertical.kernel * horizontal.kernel * all_channels() / group;
  }
};

/// nullopt when the step is no well-formed tenon.Conv with known channels.
std::optional<ConvSpec> parse_conv(const StepDescription& step);

/// Sizes of one call.
struct Pictures {
  std::int64_t images;
  std::int64_t height;  ///< of x, before upsampling
  std::int64_t width;
  std::int64_t out_height;
  std::int64_t out_width;

  std::int64_t out_pixels() const { return out_height * out_width; }
};
/// x is [N, H, W, C] of the actual call. No results where the kernel does not fit.
Pictures pictures_of(const ConvSpec& spec, const Shape& x);

}  // namespace tenon::kernels::cpu::convolution
