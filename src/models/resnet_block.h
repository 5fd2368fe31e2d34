// diffusers' ResnetBlock2D, and the convolutions that halve and double a picture between blocks.
#pragma once

#include "models/image_builder.h"

namespace tenon::models {

struct ResnetShape {
  std::int64_t groups = 32;
  double epsilon = 1e-6;
  std::string activation = "silu";
  std::int64_t time_width = 0;     ///< of the time embedding; 0: none
  bool scale_shift = false;        ///< the time scales and shifts the second norm
  double output_scale_factor = 1;  ///< divides the sum
};

/// x [B, in, H, W] -> [B, out, H, W]; `time` [B, time_width], or kNoValue.
ValueId resnet_block(ImageBuilder& builder, const std::string& module, ValueId x, ValueId time,
                     std::int64_t in, std::int64_t out, const ResnetShape& shape);

/// A 3x3 convolution of stride 2. `padding` 0 stands for one row below and one column on the right.
ValueId downsample(ImageBuilder& builder, const std::string& module, ValueId x,
                   std::int64_t channels, std::int64_t padding);

/// Nearest pixels, twice as many each way or as many as `like` has, then a 3x3 convolution.
ValueId upsample(ImageBuilder& builder, const std::string& module, ValueId x, std::int64_t channels,
                 ValueId like = kNoValue);

}  // namespace tenon::models
