// The seam between the driver of convolutions and the code of one instruction set: pixels converted
// to the type of the products. Plain data and no inline functions: files of every instruction set
// include this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/linear/product.h"

namespace tenon::kernels::cpu::convolution {

/// Neighbouring pixels of one picture, [pixels][channels] floats: value = silu(x * scale[c] +
/// shift[c]), or without silu, or x itself where scale is null.
struct Pixels {
  const float* x;
  std::int64_t pixels;
  std::int64_t channels;
  const float* scale;  ///< [channels], may be null
  const float* shift;
  bool silu;
};

/// Where their values go: pixel p, copy r (of `copies`) begins at out + (p * copies + r) * stride
/// bytes; nothing between the channels of one pixel and the next is touched.
struct Stored {
  std::byte* out;
  std::int64_t stride;
  std::int64_t copies;
  float inverse;      ///< int8 only: stored = round(value * inverse) + zero
  std::int32_t zero;  ///< int8 only
};

/// Of the values together with 0; NaN when one is NaN.
struct ValueRange {
  float low;
  float high;
};

/// One stored type on one instruction set. int8 alone has a range; its inputs have one scale a
/// picture, as a window of pixels with scales of their own could not be summed in integers.
struct ConvKernel {
  const linear::ProductKernel* product;
  void (*convert)(const Pixels& pixels, const Stored& to) noexcept;
  ValueRange (*range)(const Pixels& pixels) noexcept;  ///< null but for int8
  bool depthwise = false;  ///< weights [taps, channels] of floats instead of panels
};

namespace avx2 {
extern const ConvKernel kFp32;
extern const ConvKernel kBf16;
extern const ConvKernel kInt8;
extern const ConvKernel kDepthwise;
}  // namespace avx2
namespace avx512 {
extern const ConvKernel kFp32;
extern const ConvKernel kBf16;
extern const ConvKernel kInt8;
extern const ConvKernel kDepthwise;
// The conversions of AVX-512 with the products of its extensions.
extern const ConvKernel kBf16Pairs;
extern const ConvKernel kBf16Amx;
extern const ConvKernel kInt8Amx;
}  // namespace avx512

}  // namespace tenon::kernels::cpu::convolution
