#include "models/autoencoder_kl.h"

#include "base/error.h"
#include "models/config_fields.h"
#include "models/image_attention.h"
#include "models/resnet_block.h"

namespace tenon::models {
namespace {

constexpr double kNormEpsilon = 1e-6;
constexpr std::int64_t kMaxLayers = 256;

struct VaeConfig {
  std::int64_t in_channels, out_channels, latent_channels, layers;
  std::vector<std::int64_t> channels;  // of the blocks, from the highest resolution
  std::vector<bool> down_attention;    // of the encoder's blocks, from the highest
  std::vector<bool> up_attention;      // of the decoder's, from the lowest
  bool mid_attention, quant_conv, post_quant_conv;
  ResnetShape resnet;
};

std::vector<bool> read_types(const Json& config, const char* field, const char* plain,
                             const char* attending, std::size_t blocks) {
  std::vector<bool> attends;
  for (const std::string& type : get_strings(config, field, {plain})) {
    if (type != plain && type != attending)
      bad_input("field \"{}\" holds \"{}\"; supported: {}, {}", field, type, plain, attending);
    attends.push_back(type == attending);
  }
  if (attends.size() != blocks) {
    bad_input("field \"{}\" has {} elements, block_out_channels {}; as many were expected", field,
              attends.size(), blocks);
  }
  return attends;
}

VaeConfig read_config(const Json& config) {
  VaeConfig vae{};
  vae.in_channels = get_int(config, "in_channels", 1, kMaxWidth, 3);
  vae.out_channels = get_int(config, "out_channels", 1, kMaxWidth, 3);
  vae.latent_channels = get_int(config, "latent_channels", 1, kMaxWidth, 4);
  vae.layers = get_int(config, "layers_per_block", 1, kMaxLayers, 1);
  vae.channels = get_ints(config, "block_out_channels", 1, kMaxWidth, {64});
  const std::size_t blocks = vae.channels.size();
  vae.down_attention = read_types(config, "down_block_types", "DownEncoderBlock2D",
                                  "AttnDownEncoderBlock2D", blocks);
  vae.up_attention =
      read_types(config, "up_block_types", "UpDecoderBlock2D", "AttnUpDecoderBlock2D", blocks);
  vae.mid_attention = get_bool(config, "mid_block_add_attention", true);
  vae.quant_conv = get_bool(config, "use_quant_conv", true);
  vae.post_quant_conv = get_bool(config, "use_post_quant_conv", true);
  vae.resnet = {get_int(config, "norm_num_groups", 1, kMaxWidth, 32), kNormEpsilon,
                get_string(config, "act_fn", "silu")};
  return vae;
}

// The parts that encoder and decoder share, under the name of the half.
class Half {
 public:
  Half(const VaeConfig& vae, const char* prefix, const Weights& weights,
       const BuildOptions& options)
      : config(vae), name(prefix), builder(weights, options) {}

  ValueId resnet(const std::string& block, std::int64_t layer, ValueId x, std::int64_t in,
                 std::int64_t out) {
    return resnet_block(builder, fmt::format("{}.resnets.{}", block, layer), x, kNoValue, in, out,
                        config.resnet);
  }
  ValueId attend(const std::string& block, std::int64_t layer, ValueId x, std::int64_t channels) {
    return pixel_attention(builder, fmt::format("{}.attentions.{}", block, layer), x, channels,
                           config.resnet.groups);
  }
  ValueId mid_block(ValueId x) {
    const std::string module = name + ".mid_block";
    const std::int64_t channels = config.channels.back();
    x = resnet(module, 0, x, channels, channels);
    if (config.mid_attention) x = attend(module, 0, x, channels);
    return resnet(module, 1, x, channels, channels);
  }
  ValueId finish(ValueId x, std::int64_t in, std::int64_t out) {
    x = builder.group_norm(name + ".conv_norm_out", x, in, config.resnet.groups, kNormEpsilon);
    x = builder.activation(name + ".conv_act", "silu", x, "act_fn");
    return builder.conv(name + ".conv_out", x, {in, out});
  }

  const VaeConfig& config;
  std::string name;
  ImageBuilder builder;
};

ValueId down_block(Half& half, std::size_t index, ValueId x) {
  const std::string module = fmt::format("{}.down_blocks.{}", half.name, index);
  const auto& channels = half.config.channels;
  const std::int64_t out = channels[index];
  std::int64_t in = channels[index == 0 ? 0 : index - 1];
  for (std::int64_t layer = 0; layer < half.config.layers; ++layer) {
    x = half.resnet(module, layer, x, in, out);
    if (half.config.down_attention[index]) x = half.attend(module, layer, x, out);
    in = out;
  }
  if (index + 1 == channels.size()) return x;
  return downsample(half.builder, module + ".downsamplers.0", x, out, 0);
}

ValueId up_block(Half& half, std::size_t index, ValueId x) {
  const std::string module = fmt::format("{}.up_blocks.{}", half.name, index);
  const auto& channels = half.config.channels;
  const std::size_t mirror = channels.size() - 1 - index;
  const std::int64_t out = channels[mirror];
  std::int64_t in = channels[index == 0 ? mirror : mirror + 1];
  for (std::int64_t layer = 0; layer <= half.config.layers; ++layer) {
    x = half.resnet(module, layer, x, in, out);
    if (half.config.up_attention[index]) x = half.attend(module, layer, x, out);
    in = out;
  }
  if (mirror == 0) return x;
  return upsample(half.builder, module + ".upsamplers.0", x, out);
}

DimShape picture(std::int64_t channels, const char* height, const char* width) {
  return {Dim::symbol("batch_size"), channels, Dim::symbol(height), Dim::symbol(width)};
}

}  // namespace

graph::Graph build_autoencoder_kl_encoder(const Json& config, const Weights& weights,
                                          const BuildOptions& options) {
  const VaeConfig vae = read_config(config);
  Half half(vae, "encoder", weights, options);
  ValueId x = half.builder.input("sample", options.dtype,
                                 picture(vae.in_channels, "sample_height", "sample_width"));
  x = half.builder.conv("encoder.conv_in", x, {vae.in_channels, vae.channels.front()});
  for (std::size_t i = 0; i < vae.channels.size(); ++i) x = down_block(half, i, x);
  const std::int64_t parameters = 2 * vae.latent_channels;
  x = half.finish(half.mid_block(x), vae.channels.back(), parameters);
  if (vae.quant_conv) x = half.builder.conv("quant_conv", x, pointwise(parameters, parameters));
  half.builder.output(x, "latent_parameters");
  return half.builder.finish();
}

graph::Graph build_autoencoder_kl_decoder(const Json& config, const Weights& weights,
                                          const BuildOptions& options) {
  const VaeConfig vae = read_config(config);
  Half half(vae, "decoder", weights, options);
  const std::int64_t latents = vae.latent_channels;
  ValueId x = half.builder.input("latent_sample", options.dtype,
                                 picture(latents, "latent_height", "latent_width"));
  if (vae.post_quant_conv) x = half.builder.conv("post_quant_conv", x, pointwise(latents, latents));
  x = half.builder.conv("decoder.conv_in", x, {latents, vae.channels.back()});
  x = half.mid_block(x);
  for (std::size_t i = 0; i < vae.channels.size(); ++i) x = up_block(half, i, x);
  x = half.finish(x, vae.channels.front(), vae.out_channels);
  half.builder.output(x, "sample");
  return half.builder.finish();
}

}  // namespace tenon::models
