#include "models/unet_2d_condition.h"

#include <fmt/core.h>

#include "models/resnet_block.h"
#include "models/time_embedding.h"
#include "models/transformer_2d.h"

namespace tenon::models {
namespace {

class Unet {
 public:
  Unet(const UnetConfig& config, const Weights& weights, const BuildOptions& options)
      : config_(config), builder_(weights, options) {}

  graph::Graph build() {
    ValueId x = make_inputs();
    x = builder_.conv(
        "conv_in", x,
        same_size(config_.in_channels, config_.down[0].channels, config_.conv_in_kernel));
    skips_.push_back({x, config_.down[0].channels});
    for (std::size_t i = 0; i < config_.down.size(); ++i) x = down_block(i, x);
    if (config_.has_mid) x = mid_block(x);
    for (std::size_t i = 0; i < config_.up.size(); ++i) x = up_block(i, x);
    const std::int64_t channels = config_.down[0].channels;
    x = builder_.group_norm("conv_norm_out", x, channels, config_.groups, config_.epsilon);
    x = builder_.activation("conv_act", config_.activation, x, "act_fn");
    x = builder_.conv("conv_out", x,
                      same_size(channels, config_.out_channels, config_.conv_out_kernel));
    builder_.output(x, "out_sample");
    return builder_.finish();
  }

 private:
  struct Skip {
    ValueId value;
    std::int64_t channels;
  };

  static Conv2d same_size(std::int64_t in, std::int64_t out, std::int64_t kernel) {
    const std::int64_t pad = (kernel - 1) / 2;
    return {in, out, kernel, 1, {pad, pad, pad, pad}};
  }

  // The sample, centered if asked for; the time and the text on the way.
  ValueId make_inputs() {
    const Dim batch = Dim::symbol("batch_size");
    ValueId sample =
        builder_.input("sample", builder_.dtype(),
                       {batch, config_.in_channels, Dim::symbol("height"), Dim::symbol("width")});
    time_ = time_embedding(builder_, config_, sample);
    text_ = builder_.input("encoder_hidden_states", builder_.dtype(),
                           {batch, Dim::symbol("sequence_length"), config_.text_width});
    if (config_.text_projection_dim > 0) {
      text_ = builder_.linear("encoder_hid_proj", text_, config_.text_width,
                              config_.text_projection_dim);
    }
    if (!config_.center_input_sample) return sample;
    const ValueId doubled = builder_.multiply("center_input_sample", sample, 2.0F);
    return builder_.add("center_input_sample", doubled, builder_.scalar(-1.0F, builder_.dtype()));
  }

  ResnetShape resnet_shape(double output_scale_factor = 1) const {
    return {config_.groups,      config_.epsilon,
            config_.activation,  config_.time_width * (config_.class_concat ? 2 : 1),
            config_.scale_shift, output_scale_factor};
  }

  ValueId resnet(const std::string& block, std::int64_t layer, ValueId x, std::int64_t in,
                 std::int64_t out, double output_scale_factor = 1) {
    return resnet_block(builder_, fmt::format("{}.resnets.{}", block, layer), x, time_, in, out,
                        resnet_shape(output_scale_factor));
  }

  ValueId attend(const std::string& block, std::int64_t layer, ValueId x, const UnetBlock& shape) {
    const TransformerShape transformer{shape.channels,
                                       shape.heads,
                                       shape.channels / shape.heads,
                                       shape.transformer_layers[static_cast<std::size_t>(layer)],
                                       shape.context_dim,
                                       config_.groups,
                                       config_.linear_projection,
                                       shape.only_cross_attention,
                                       config_.upcast_attention};
    const std::string module = fmt::format("{}.attentions.{}", block, layer);
    return config_.dual_cross_attention
               ? dual_transformer_2d(builder_, module, x, text_, transformer)
               : transformer_2d(builder_, module, x, text_, transformer);
  }

  ValueId down_block(std::size_t index, ValueId x) {
    const std::string module = fmt::format("down_blocks.{}", index);
    const UnetBlock& block = config_.down[index];
    std::int64_t in = config_.down[index == 0 ? 0 : index - 1].channels;
    for (std::int64_t layer = 0; layer < block.layers; ++layer) {
      x = resnet(module, layer, x, in, block.channels);
      if (block.cross_attention) x = attend(module, layer, x, block);
      skips_.push_back({x, block.channels});
      in = block.channels;
    }
    if (index + 1 == config_.down.size()) return x;
    x = downsample(builder_, module + ".downsamplers.0", x, block.channels,
                   config_.downsample_padding);
    skips_.push_back({x, block.channels});
    return x;
  }

  ValueId mid_block(ValueId x) {
    const std::string module = "mid_block";
    const UnetBlock& block = config_.mid;
    const double scale = config_.mid_scale_factor;
    x = resnet(module, 0, x, block.channels, block.channels, scale);
    if (!block.cross_attention) return x;
    x = attend(module, 0, x, block);
    return resnet(module, 1, x, block.channels, block.channels, scale);
  }

  ValueId up_block(std::size_t index, ValueId x) {
    const std::string module = fmt::format("up_blocks.{}", index);
    const UnetBlock& block = config_.up[index];
    std::int64_t in = config_.up[index == 0 ? 0 : index - 1].channels;
    for (std::int64_t layer = 0; layer <= block.layers; ++layer) {
      const Skip skip = skips_.back();
      skips_.pop_back();
      x = builder_.concat(module, {x, skip.value}, 1);
      x = resnet(module, layer, x, in + skip.channels, block.channels);
      if (block.cross_attention) x = attend(module, layer, x, block);
      in = block.channels;
    }
    if (index + 1 == config_.up.size()) return x;
    const bool follow = builder_.options().any_size;
    return upsample(builder_, module + ".upsamplers.0", x, block.channels,
                    follow ? skips_.back().value : kNoValue);
  }

  const UnetConfig& config_;
  ImageBuilder builder_;
  ValueId time_ = kNoValue;
  ValueId text_ = kNoValue;
  std::vector<Skip> skips_;  // outputs on the way down, the last on top
};

}  // namespace

graph::Graph build_unet_2d_condition(const Json& config, const Weights& weights,
                                     const BuildOptions& options) {
  const UnetConfig unet = read_unet_config(config);
  return Unet(unet, weights, options).build();
}

}  // namespace tenon::models
