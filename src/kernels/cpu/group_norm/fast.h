// The seam between the bound rows and the code of one instruction set. Plain data and no inline
// functions: files of every instruction set include this.
#pragma once

#include <cstdint>

namespace tenon::kernels::cpu::group_norm {

/// Arrays have room for the channels rounded up to kChannelUnit.
inline constexpr std::int64_t kChannelUnit = 16;

/// Mean and sum of squared distances from it of each channel over neighbouring pixels. Sums are
/// floats over at most 64 pixels, of distances from a mean found earlier, then doubles: so a mean
/// far from 0 loses nothing.
struct ChannelSums {
  const float* x;  ///< [pixels][channels]
  std::int64_t pixels;
  std::int64_t channels;
  float* shift;  ///< scratch, like the next two
  float* sum;
  float* squares;
  double* mean;      ///< result
  double* distance;  ///< result: sum of (x - mean)^2
};

/// y = activation(x * scale[c] + shift[c]); x and y may be the same memory.
struct ScaledPixels {
  const float* x;
  const float* scale;
  const float* shift;
  float* y;
  std::int64_t pixels;
  std::int64_t channels;
  int activation;  ///< of enum linear::Activation
};

struct GroupKernels {
  void (*sum)(const ChannelSums& work) noexcept;
  void (*scale)(const ScaledPixels& work) noexcept;
};

namespace avx2 {
extern const GroupKernels kKernels;
}
namespace avx512 {
extern const GroupKernels kKernels;
}

}  // namespace tenon::kernels::cpu::group_norm
