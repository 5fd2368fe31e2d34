#include "models/autoencoder_tiny.h"

#include "base/error.h"
#include "models/config_fields.h"
#include "models/image_builder.h"

namespace tenon::models {
namespace {

constexpr std::int64_t kMaxLayers = 256;
constexpr std::int64_t kMaxFactor = 16;
constexpr float kClampRange = 3.0F;

struct TinyConfig {
  std::int64_t in_channels, out_channels, latent_channels, factor;
  std::vector<std::int64_t> encoder_channels, encoder_blocks, decoder_channels, decoder_blocks;
  std::string activation;
};

void require_equal_length(const char* field, std::size_t length, const char* other,
                          std::size_t expected) {
  if (length != expected)
    bad_input("field \"{}\" has {} elements, \"{}\" {}; as many were expected", field, length,
              other, expected);
}

TinyConfig read_config(const Json& config) {
  TinyConfig tiny{};
  tiny.in_channels = get_int(config, "in_channels", 1, kMaxWidth, 3);
  tiny.out_channels = get_int(config, "out_channels", 1, kMaxWidth, 3);
  tiny.latent_channels = get_int(config, "latent_channels", 1, kMaxWidth, 4);
  tiny.factor = get_int(config, "upsampling_scaling_factor", 1, kMaxFactor, 2);
  tiny.activation = get_string(config, "act_fn", "relu");
  const std::vector<std::int64_t> widths = {64, 64, 64, 64};
  tiny.encoder_channels = get_ints(config, "encoder_block_out_channels", 1, kMaxWidth, widths);
  tiny.decoder_channels = get_ints(config, "decoder_block_out_channels", 1, kMaxWidth, widths);
  tiny.encoder_blocks = get_ints(config, "num_encoder_blocks", 0, kMaxLayers, {1, 3, 3, 3});
  tiny.decoder_blocks = get_ints(config, "num_decoder_blocks", 0, kMaxLayers, {3, 3, 3, 1});
  require_equal_length("num_encoder_blocks", tiny.encoder_blocks.size(),
                       "encoder_block_out_channels", tiny.encoder_channels.size());
  require_equal_length("num_decoder_blocks", tiny.decoder_blocks.size(),
                       "decoder_block_out_channels", tiny.decoder_channels.size());
  require_one_of(config, "upsample_fn", {"nearest"});
  return tiny;
}

// Layers of one torch Sequential: each takes the next number.
class Sequence {
 public:
  Sequence(ImageBuilder& builder, std::string name, std::string activation, ValueId x)
      : builder_(builder), name_(std::move(name)), activation_(std::move(activation)), x_(x) {}

  void conv(const Conv2d& shape) { x_ = builder_.conv(next(), x_, shape); }
  void activation() { x_ = active(next(), x_); }
  void upsample(std::int64_t factor) { x_ = builder_.upsample_nearest(next(), x_, factor); }
  void block(std::int64_t channels) {
    const std::string module = next();
    ValueId hidden = x_;
    for (const int layer : {0, 2, 4}) {
      if (layer > 0) hidden = active(fmt::format("{}.conv.{}", module, layer - 1), hidden);
      hidden =
          builder_.conv(fmt::format("{}.conv.{}", module, layer), hidden, {channels, channels});
    }
    const ValueId sum = builder_.add(module, hidden, x_);
    x_ = builder_.node(module + ".fuse", "Relu", {sum});
  }
  ValueId result() const { return x_; }

 private:
  std::string next() { return fmt::format("{}.layers.{}", name_, index_++); }
  ValueId active(const std::string& module, ValueId x) {
    return builder_.activation(module, activation_, x, "act_fn");
  }

  ImageBuilder& builder_;
  std::string name_;
  std::string activation_;
  ValueId x_;
  int index_ = 0;
};

// Neighbouring stages of other widths do not fit together: a stage ends in its own width.
void require_equal_widths(const std::vector<std::int64_t>& channels, const char* field) {
  for (const std::int64_t width : channels) {
    if (width != channels.front())
      bad_input("field \"{}\" has widths {} and {}; one for all stages was expected", field,
                channels.front(), width);
  }
}

DimShape picture(std::int64_t channels, const char* height, const char* width) {
  return {Dim::symbol("batch_size"), channels, Dim::symbol(height), Dim::symbol(width)};
}

}  // namespace

graph::Graph build_autoencoder_tiny_encoder(const Json& config, const Weights& weights,
                                            const BuildOptions& options) {
  const TinyConfig tiny = read_config(config);
  require_equal_widths(tiny.encoder_channels, "encoder_block_out_channels");
  ImageBuilder builder(weights, options);
  ValueId x = builder.input("sample", options.dtype,
                            picture(tiny.in_channels, "sample_height", "sample_width"));
  x = builder.add("encoder", x, builder.scalar(1.0F, options.dtype));
  x = builder.multiply("encoder", x, 0.5F);
  Sequence layers(builder, "encoder", tiny.activation, x);
  const std::int64_t width = tiny.encoder_channels.front();
  for (std::size_t stage = 0; stage < tiny.encoder_blocks.size(); ++stage) {
    if (stage == 0) {
      layers.conv({tiny.in_channels, width});
    } else {
      layers.conv({width, width, 3, 2, {1, 1, 1, 1}, false});
    }
    for (std::int64_t i = 0; i < tiny.encoder_blocks[stage]; ++i) layers.block(width);
  }
  layers.conv({width, tiny.latent_channels});
  builder.output(layers.result(), "latent_sample");
  return builder.finish();
}

graph::Graph build_autoencoder_tiny_decoder(const Json& config, const Weights& weights,
                                            const BuildOptions& options) {
  const TinyConfig tiny = read_config(config);
  require_equal_widths(tiny.decoder_channels, "decoder_block_out_channels");
  ImageBuilder builder(weights, options);
  const ValueId latent =
      builder.input("latent_sample", options.dtype,
                    picture(tiny.latent_channels, "latent_height", "latent_width"));
  const ValueId range = builder.scalar(kClampRange, options.dtype);
  const ValueId narrowed = builder.node("decoder", "Div", {latent, range});
  const ValueId clamped =
      builder.multiply("decoder", builder.node("decoder", "Tanh", {narrowed}), range);
  Sequence layers(builder, "decoder", tiny.activation, clamped);
  const std::int64_t width = tiny.decoder_channels.front();
  layers.conv({tiny.latent_channels, width});
  layers.activation();
  for (std::size_t stage = 0; stage < tiny.decoder_blocks.size(); ++stage) {
    const bool last = stage + 1 == tiny.decoder_blocks.size();
    for (std::int64_t i = 0; i < tiny.decoder_blocks[stage]; ++i) layers.block(width);
    if (!last) layers.upsample(tiny.factor);
    layers.conv({width, last ? tiny.out_channels : width, 3, 1, {1, 1, 1, 1}, last});
  }
  const ValueId doubled = builder.multiply("decoder", layers.result(), 2.0F);
  builder.output(builder.add("decoder", doubled, builder.scalar(-1.0F, options.dtype)), "sample");
  return builder.finish();
}

}  // namespace tenon::models
