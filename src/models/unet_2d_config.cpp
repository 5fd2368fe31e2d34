#include "models/unet_2d_config.h"

#include <algorithm>

#include "base/error.h"
#include "models/config_fields.h"

namespace tenon::models {
namespace {

constexpr std::int64_t kMaxKernel = 31;
constexpr std::int64_t kMaxPadding = 16;
constexpr std::int64_t kMaxLayers = 256;
// Resnets and transformer blocks in all; the largest published networks have some 130.
constexpr std::int64_t kMaxParts = 10'000;

void refuse_unsupported(const Json& config) {
  require_absent(config, "addition_embed_type");
  require_one_of(config, "encoder_hid_dim_type", {"text_proj"});
  require_one_of(config, "attention_type", {"default"});
  require_one_of(config, "time_embedding_type", {"positional", "fourier"});
  require_one_of(config, "resnet_time_scale_shift", {"default", "scale_shift"});
  require_one_of(config, "class_embed_type",
                 {"timestep", "identity", "projection", "simple_projection"});
  require_one_of(config, "mid_block_type", {"UNetMidBlock2DCrossAttn", "UNetMidBlock2D"});
}

// Whether each block has attention, by its type.
std::vector<bool> read_types(const Json& config, const char* field, const std::string& plain,
                             std::vector<std::string> fallback) {
  std::vector<bool> with_attention;
  for (std::string type : get_strings(config, field, std::move(fallback))) {
    if (type.starts_with("UNetRes")) type = type.substr(7);
    const bool attends = type == "CrossAttn" + plain;
    if (!attends && type != plain) {
      bad_input("field \"{}\" holds \"{}\"; supported: {}, CrossAttn{}", field, type, plain, plain);
    }
    with_attention.push_back(attends);
  }
  return with_attention;
}

void read_time(const Json& config, std::int64_t first_channels, UnetConfig& unet) {
  unet.fourier_time = get_string(config, "time_embedding_type", "positional") == "fourier";
  unet.flip_sin_to_cos = get_bool(config, "flip_sin_to_cos", true);
  unet.freq_shift = get_number(config, "freq_shift", 0);
  unet.time_width = get_int(config, "time_embedding_dim", 1, kMaxWidth,
                            first_channels * (unet.fourier_time ? 2 : 4));
  unet.time_input_width = unet.fourier_time ? unet.time_width : first_channels;
  if (unet.fourier_time && unet.time_width % 2 != 0)
    bad_input("time embedding width {} is odd, fourier frequencies need an even one",
              unet.time_width);
  if (!unet.fourier_time &&
      (first_channels < 2 || static_cast<double>(first_channels / 2) == unet.freq_shift)) {
    bad_input("block_out_channels[0] {} with freq_shift {} leaves no frequencies of time",
              first_channels, unet.freq_shift);
  }
  unet.time_cond_width = get_int(config, "time_cond_proj_dim", 1, kMaxWidth, 0);
  unet.time_activation = get_string(config, "time_embedding_act_fn", "");
  unet.timestep_activation = get_string(config, "timestep_post_act", "");
}

void read_classes(const Json& config, UnetConfig& unet) {
  const std::string type = get_string(config, "class_embed_type", "");
  unet.class_count = get_int(config, "num_class_embeds", 1, kMaxWidth, 0);
  unet.class_concat = get_bool(config, "class_embeddings_concat", false);
  if (type.empty() && unet.class_count > 0) unet.class_embedding = ClassEmbedding::table;
  if (type == "timestep") unet.class_embedding = ClassEmbedding::timestep;
  if (type == "identity") unet.class_embedding = ClassEmbedding::identity;
  if (type == "projection") unet.class_embedding = ClassEmbedding::projection;
  if (type == "simple_projection") unet.class_embedding = ClassEmbedding::simple_projection;
  if (type == "projection" || type == "simple_projection") {
    unet.class_input_width = get_int(config, "projection_class_embeddings_input_dim", 1, kMaxWidth);
  }
}

void read_text(const Json& config, const std::vector<std::int64_t>& context_dims,
               UnetConfig& unet) {
  const auto [low, high] = std::minmax_element(context_dims.begin(), context_dims.end());
  if (*low != *high)
    refuse_field(config, "cross_attention_dim", "supported: the same width for all blocks");
  unet.text_width = context_dims.front();
  if (find_field(config, "encoder_hid_dim") != nullptr) {
    unet.text_projection_dim = unet.text_width;
    unet.text_width = get_int(config, "encoder_hid_dim", 1, kMaxWidth);
  } else if (find_field(config, "encoder_hid_dim_type") != nullptr) {
    refuse_field(config, "encoder_hid_dim_type", "field \"encoder_hid_dim\" must be given too");
  }
}

std::vector<std::int64_t> read_heads(const Json& config, std::size_t blocks) {
  const bool named = find_field(config, "num_attention_heads") != nullptr;
  const char* field = named ? "num_attention_heads" : "attention_head_dim";
  return get_ints_per_block(config, field, blocks, 1, kMaxWidth, 8);
}

void check_heads(const UnetBlock& block) {
  if (block.cross_attention && block.heads > block.channels) {
    bad_input("{} attention heads (field \"attention_head_dim\") for {} channels: none has a width",
              block.heads, block.channels);
  }
}

void check_size(const UnetConfig& unet) {
  std::int64_t parts = 0;
  for (const auto* blocks : {&unet.down, &unet.up}) {
    for (const UnetBlock& block : *blocks) {
      for (const std::int64_t depth : block.transformer_layers) parts += 1 + depth;
    }
  }
  if (parts > kMaxParts) {
    bad_input(
        "layers_per_block and transformer_layers_per_block make {} parts, at most {} are "
        "built",
        parts, kMaxParts);
  }
}

void read_blocks(const Json& config, const std::vector<std::int64_t>& channels, UnetConfig& unet) {
  const std::vector<bool> down = read_types(
      config, "down_block_types", "DownBlock2D",
      {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"});
  const std::vector<bool> up =
      read_types(config, "up_block_types", "UpBlock2D",
                 {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"});
  const std::size_t blocks = channels.size();
  if (down.size() != blocks || up.size() != blocks) {
    bad_input(
        "{} down_block_types, {} up_block_types and {} block_out_channels; as many of each "
        "were expected",
        down.size(), up.size(), blocks);
  }
  const auto layers = get_ints_per_block(config, "layers_per_block", blocks, 1, kMaxLayers, 2);
  const auto heads = read_heads(config, blocks);
  const auto contexts =
      get_ints_per_block(config, "cross_attention_dim", blocks, 1, kMaxWidth, 1280);
  const auto only = get_bools_per_block(config, "only_cross_attention", blocks, false);
  const char* depth_field = "transformer_layers_per_block";
  const auto depths = get_ints_per_layer(config, depth_field, layers, 1, kMaxLayers, 1);
  std::vector<std::int64_t> up_layers;
  for (std::size_t i = blocks; i-- > 0;) up_layers.push_back(layers[i] + 1);
  const char* reversed_field = "reverse_transformer_layers_per_block";
  const bool reversed = find_field(config, reversed_field) != nullptr;
  const Json* depth = find_field(config, depth_field);
  Json mirrored = {{reversed_field, Json()}};
  if (depth != nullptr) mirrored[reversed_field] = *depth;
  if (depth != nullptr && depth->is_array()) {
    const bool nested = std::any_of(depth->begin(), depth->end(),
                                    [](const Json& entry) { return entry.is_array(); });
    if (nested && !reversed)
      refuse_field(config, depth_field, "lists in it need reverse_transformer_layers_per_block");
    std::reverse(mirrored[reversed_field].begin(), mirrored[reversed_field].end());
  }
  const auto up_depths =
      get_ints_per_layer(reversed ? config : mirrored, reversed_field, up_layers, 1, kMaxLayers, 1);
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t mirror = blocks - 1 - i;
    unet.down.push_back(
        {down[i], channels[i], layers[i], heads[i], contexts[i], only[i], depths[i]});
    unet.up.push_back({up[i], channels[mirror], up_layers[i] - 1, heads[mirror], contexts[mirror],
                       only[mirror], up_depths[i]});
    check_heads(unet.down.back());
    check_heads(unet.up.back());
  }
  check_size(unet);
  read_text(config, contexts, unet);
  unet.mid = unet.down.back();
}

void read_mid(const Json& config, UnetConfig& unet) {
  // An explicit null means no block; an absent field means the default.
  unet.has_mid = !config.contains("mid_block_type") || !config.at("mid_block_type").is_null();
  unet.mid_scale_factor = get_number(config, "mid_block_scale_factor", 1);
  unet.mid.cross_attention =
      get_string(config, "mid_block_type", "UNetMidBlock2DCrossAttn") == "UNetMidBlock2DCrossAttn";
  unet.mid.only_cross_attention = false;
  unet.mid.transformer_layers.resize(1);
  if (unet.has_mid) check_heads(unet.mid);
}

}  // namespace

UnetConfig read_unet_config(const Json& config) {
  refuse_unsupported(config);
  UnetConfig unet;
  const auto channels =
      get_ints(config, "block_out_channels", 1, kMaxWidth, {320, 640, 1280, 1280});
  unet.in_channels = get_int(config, "in_channels", 1, kMaxWidth, 4);
  unet.out_channels = get_int(config, "out_channels", 1, kMaxWidth, 4);
  unet.conv_in_kernel = get_int(config, "conv_in_kernel", 1, kMaxKernel, 3);
  unet.conv_out_kernel = get_int(config, "conv_out_kernel", 1, kMaxKernel, 3);
  unet.center_input_sample = get_bool(config, "center_input_sample", false);
  unet.activation = get_string(config, "act_fn", "silu");
  if (config.contains("norm_num_groups") && config.at("norm_num_groups").is_null())
    refuse_field(config, "norm_num_groups", "a number of groups is needed");
  unet.groups = get_int(config, "norm_num_groups", 1, kMaxWidth, 32);
  unet.epsilon = get_number(config, "norm_eps", 1e-5);
  unet.scale_shift = get_string(config, "resnet_time_scale_shift", "default") == "scale_shift";
  unet.downsample_padding = get_int(config, "downsample_padding", 0, kMaxPadding, 1);
  unet.dual_cross_attention = get_bool(config, "dual_cross_attention", false);
  unet.linear_projection = get_bool(config, "use_linear_projection", false);
  unet.upcast_attention = get_bool(config, "upcast_attention", false);
  read_time(config, channels.front(), unet);
  read_classes(config, unet);
  read_blocks(config, channels, unet);
  read_mid(config, unet);
  return unet;
}

}  // namespace tenon::models
