#include "checkpoint/latent_diffusion_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/error.h"

namespace tenon::checkpoint {
namespace {

constexpr std::int64_t kFirstGenerationHeads = 8;
constexpr std::int64_t kHeadDim = 64;
constexpr std::int64_t kSecondGenerationText = 1024;
constexpr std::int64_t kGroups = 32;  // written into the training code
constexpr std::int64_t kMaxBlocks = 256;

bool has(const WeightMap& weights, const std::string& name) { return weights.contains(name); }

const Shape& shape_of(const WeightMap& weights, const std::string& name, std::size_t rank) {
  const auto found = weights.find(name);
  if (found == weights.end())
    bad_input("the weights hold no tensor {} (by the name that diffusers gives it)", name);
  const Shape& shape = found->second.source->shape();
  if (shape.size() != rank)
    bad_input("tensor {} has shape {}, {} dimensions were expected", name, to_string(shape), rank);
  return shape;
}

// How many of name.0.TAIL, name.1.TAIL ... there are.
std::int64_t count(const WeightMap& weights, const std::string& name, const std::string& tail) {
  std::int64_t number = 0;
  while (number < kMaxBlocks && has(weights, fmt::format("{}.{}{}", name, number, tail))) ++number;
  return number;
}

// The number itself when all are equal.
Json one_or_all(const std::vector<std::int64_t>& values) {
  const bool equal = std::all_of(values.begin(), values.end(),
                                 [&](std::int64_t value) { return value == values.front(); });
  return equal ? Json(values.front()) : Json(values);
}

struct Blocks {
  std::vector<std::int64_t> channels, layers, depths;
  std::vector<bool> attention, only_cross;
  std::int64_t text_width = 0;
  bool linear = false;
};

void read_attention(const WeightMap& unet, const std::string& module, Blocks& blocks) {
  const std::string block = module + ".transformer_blocks.0";
  blocks.text_width = shape_of(unet, block + ".attn2.to_k.weight", 2)[1];
  const std::string projection = module + ".proj_in.weight";
  const auto found = unet.find(projection);
  blocks.linear = found != unet.end() && found->second.source->shape().size() == 2;
}

Blocks read_blocks(const WeightMap& unet) {
  Blocks blocks;
  const std::int64_t levels = count(unet, "down_blocks", ".resnets.0.conv1.weight");
  if (levels == 0) bad_input("the weights of the unet hold no input_blocks.1.0.in_layers.2.weight");
  for (std::int64_t level = 0; level < levels; ++level) {
    const std::string module = fmt::format("down_blocks.{}", level);
    const std::int64_t channels = shape_of(unet, module + ".resnets.0.conv1.weight", 4)[0];
    blocks.channels.push_back(channels);
    blocks.layers.push_back(count(unet, module + ".resnets", ".conv1.weight"));
    const std::string attention = module + ".attentions.0";
    const std::int64_t depth = count(unet, attention + ".transformer_blocks", ".attn1.to_k.weight");
    blocks.attention.push_back(depth > 0);
    blocks.depths.push_back(std::max<std::int64_t>(depth, 1));
    bool only_cross = false;
    if (depth > 0) {
      read_attention(unet, attention, blocks);
      const Shape& keys = shape_of(unet, attention + ".transformer_blocks.0.attn1.to_k.weight", 2);
      only_cross = keys[1] != keys[0] && keys[1] == blocks.text_width;
    }
    blocks.only_cross.push_back(only_cross);
  }
  if (blocks.text_width == 0) read_attention(unet, "mid_block.attentions.0", blocks);
  return blocks;
}

Json heads_of(const Blocks& blocks, const OriginalConfig& original) {
  if (original.heads) return *original.heads;
  if (!original.head_dim && !blocks.linear) return kFirstGenerationHeads;
  const std::int64_t width = original.head_dim.value_or(kHeadDim);
  std::vector<std::int64_t> heads;
  for (const std::int64_t channels : blocks.channels) {
    if (channels % width != 0) {
      Error error(ErrorCode::bad_input,
                  fmt::format("{} channels are no multiple of the head width {}", channels, width));
      throw error.hint("put the model's YAML configuration beside the file, with the same name");
    }
    heads.push_back(channels / width);
  }
  return one_or_all(heads);
}

std::vector<std::string> block_types(const std::vector<bool>& attention, const char* plain) {
  std::vector<std::string> types;
  for (const bool attends : attention)
    types.push_back(attends ? std::string("CrossAttn") + plain : std::string(plain));
  return types;
}

void decide_prediction(const OriginalConfig& original, const std::string& prediction,
                       std::int64_t in_channels, std::int64_t latents,
                       LatentDiffusionFacts& facts) {
  if (!prediction.empty()) {
    facts.prediction_type = prediction;
  } else if (original.present) {
    facts.prediction_type = original.parameterization == "v"    ? "v_prediction"
                            : original.parameterization == "x0" ? "sample"
                                                                : "epsilon";
  } else {
    // The variants with a mask or a depth map were all made from the base model.
    const bool velocity = facts.second_generation && in_channels == latents;
    facts.prediction_type = velocity ? "v_prediction" : "epsilon";
    if (velocity) {
      facts.warning =
          "Weights do not show whether this Stable Diffusion 2 predicts velocity (768) or noise "
          "(base, 512): v_prediction is assumed. Put its YAML file beside it or give the "
          "prediction type.";
    }
  }
  const bool large = facts.second_generation && facts.prediction_type == "v_prediction";
  facts.sample_size = large ? 96 : 64;
}

void add_classes(const WeightMap& unet, Json& config) {
  if (has(unet, "class_embedding.linear_1.weight")) {
    config["class_embed_type"] = "projection";
    config["projection_class_embeddings_input_dim"] =
        shape_of(unet, "class_embedding.linear_1.weight", 2)[1];
  } else if (has(unet, "class_embedding.weight")) {
    config["num_class_embeds"] = shape_of(unet, "class_embedding.weight", 2)[0];
  }
}

}  // namespace

LatentDiffusionFacts unet_facts(const WeightMap& unet, const OriginalConfig& original,
                                const std::string& prediction) {
  LatentDiffusionFacts facts;
  const Blocks blocks = read_blocks(unet);
  const Shape& in = shape_of(unet, "conv_in.weight", 4);
  const Shape& out = shape_of(unet, "conv_out.weight", 4);
  facts.second_generation = blocks.text_width == kSecondGenerationText;
  decide_prediction(original, prediction, in[1], out[0], facts);
  std::vector<bool> mirrored(blocks.attention.rbegin(), blocks.attention.rend());
  facts.unet_config = {{"_class_name", "UNet2DConditionModel"},
                       {"sample_size", facts.sample_size},
                       {"in_channels", in[1]},
                       {"out_channels", out[0]},
                       {"conv_in_kernel", in[2]},
                       {"conv_out_kernel", out[2]},
                       {"down_block_types", block_types(blocks.attention, "DownBlock2D")},
                       {"mid_block_type", "UNetMidBlock2DCrossAttn"},
                       {"up_block_types", block_types(mirrored, "UpBlock2D")},
                       {"block_out_channels", blocks.channels},
                       {"layers_per_block", one_or_all(blocks.layers)},
                       {"transformer_layers_per_block", one_or_all(blocks.depths)},
                       {"cross_attention_dim", blocks.text_width},
                       {"attention_head_dim", heads_of(blocks, original)},
                       {"use_linear_projection", blocks.linear},
                       {"upcast_attention", blocks.linear},
                       {"norm_num_groups", kGroups},
                       {"norm_eps", 1e-5},
                       {"act_fn", "silu"},
                       {"flip_sin_to_cos", true},
                       {"freq_shift", 0},
                       {"downsample_padding", 1}};
  if (std::find(blocks.only_cross.begin(), blocks.only_cross.end(), true) !=
      blocks.only_cross.end())
    facts.unet_config["only_cross_attention"] = blocks.only_cross;
  add_classes(unet, facts.unet_config);
  return facts;
}

Json vae_config(const WeightMap& vae, const OriginalConfig& original,
                const LatentDiffusionFacts& facts) {
  std::vector<std::int64_t> channels;
  std::vector<std::string> down;
  std::vector<std::string> up;
  const std::int64_t levels = count(vae, "encoder.down_blocks", ".resnets.0.conv1.weight");
  for (std::int64_t level = 0; level < levels; ++level) {
    const std::string module = fmt::format("down_blocks.{}", level);
    channels.push_back(shape_of(vae, "encoder." + module + ".resnets.0.conv1.weight", 4)[0]);
    const std::string norm = ".attentions.0.group_norm.weight";
    down.push_back(has(vae, "encoder." + module + norm) ? "AttnDownEncoderBlock2D"
                                                        : "DownEncoderBlock2D");
    up.push_back(has(vae, fmt::format("decoder.up_blocks.{}{}", level, norm))
                     ? "AttnUpDecoderBlock2D"
                     : "UpDecoderBlock2D");
  }
  return {{"_class_name", "AutoencoderKL"},
          {"in_channels", shape_of(vae, "encoder.conv_in.weight", 4)[1]},
          {"out_channels", shape_of(vae, "decoder.conv_out.weight", 4)[0]},
          {"latent_channels", shape_of(vae, "decoder.conv_in.weight", 4)[1]},
          {"block_out_channels", channels},
          {"layers_per_block", count(vae, "encoder.down_blocks.0.resnets", ".conv1.weight")},
          {"down_block_types", down},
          {"up_block_types", up},
          {"mid_block_add_attention", has(vae, "decoder.mid_block.attentions.0.group_norm.weight")},
          {"use_quant_conv", has(vae, "quant_conv.weight")},
          {"use_post_quant_conv", has(vae, "post_quant_conv.weight")},
          {"norm_num_groups", kGroups},
          {"act_fn", "silu"},
          {"sample_size", 8 * facts.sample_size},
          {"scaling_factor", original.latent_scale}};
}

Json text_config(const WeightMap& text, bool open_clip) {
  // Some files leave out the outer module's name.
  const bool wrapped = text.lower_bound("text_model.") != text.end() &&
                       text.lower_bound("text_model.")->first.starts_with("text_model.");
  const std::string root = wrapped ? "text_model." : "";
  const Shape& tokens = shape_of(text, root + "embeddings.token_embedding.weight", 2);
  const Shape& places = shape_of(text, root + "embeddings.position_embedding.weight", 2);
  const std::string layers = root + "encoder.layers";
  const std::int64_t hidden = tokens[1];
  if (hidden % kHeadDim != 0) {
    bad_input("the text encoder is {} wide, a multiple of its head width {} was expected", hidden,
              kHeadDim);
  }
  return {{"architectures", {"CLIPTextModel"}},
          {"model_type", "clip_text_model"},
          {"vocab_size", tokens[0]},
          {"hidden_size", hidden},
          {"intermediate_size", shape_of(text, layers + ".0.mlp.fc1.weight", 2)[0]},
          {"num_hidden_layers", count(text, layers, ".mlp.fc1.weight")},
          {"num_attention_heads", hidden / kHeadDim},
          {"max_position_embeddings", places[0]},
          {"hidden_act", open_clip ? "gelu" : "quick_gelu"},
          {"layer_norm_eps", 1e-5},
          {"bos_token_id", tokens[0] - 2},
          {"eos_token_id", tokens[0] - 1},
          {"pad_token_id", open_clip ? 0 : tokens[0] - 1}};
}

Json scheduler_config(const OriginalConfig& original, const LatentDiffusionFacts& facts) {
  Json config = {{"_class_name", facts.second_generation ? "DDIMScheduler" : "PNDMScheduler"},
                 {"beta_schedule", "scaled_linear"},
                 {"beta_start", original.beta_start},
                 {"beta_end", original.beta_end},
                 {"num_train_timesteps", original.train_steps},
                 {"prediction_type", facts.prediction_type},
                 {"set_alpha_to_one", false},
                 {"steps_offset", 1},
                 {"timestep_spacing", "leading"},
                 {"trained_betas", nullptr}};
  if (facts.second_generation) {
    config["clip_sample"] = false;
  } else {
    config["skip_prk_steps"] = true;
  }
  return config;
}

}  // namespace tenon::checkpoint
