// The layers that networks over pictures are made of, each under its module's name. Pictures are
// [batch, channels, height, width].
#pragma once

#include "models/module_builder.h"

namespace tenon::models {

struct Conv2d {
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
  /// Rows and columns of zeros: top, left, bottom, right.
  std::vector<std::int64_t> pads = {1, 1, 1, 1};
  bool bias = true;
};

/// A 1x1 convolution.
Conv2d pointwise(std::int64_t in, std::int64_t out, bool bias = true);

class ImageBuilder : public ModuleBuilder {
 public:
  using ModuleBuilder::ModuleBuilder;

  ValueId conv(const std::string& module, ValueId x, const Conv2d& conv);
  /// Statistics in float32 over `groups` groups of the channels.
  ValueId group_norm(const std::string& module, ValueId x, std::int64_t channels,
                     std::int64_t groups, double epsilon);
  /// Every pixel `factor` times in both directions.
  ValueId upsample_nearest(const std::string& module, ValueId x, std::int64_t factor);
  /// Height and width of `like`, nearest pixels (torch's rule: floor(i * in / out)).
  ValueId resize_like(const std::string& module, ValueId x, ValueId like);
  /// [B, C, H, W] -> [B, H * W, C]
  ValueId to_tokens(const std::string& module, ValueId x, std::int64_t channels);
  /// [B, H * W, C] -> [B, C, H, W] with H and W of `like`.
  ValueId to_picture(const std::string& module, ValueId tokens, ValueId like,
                     std::int64_t channels);
};

}  // namespace tenon::models
