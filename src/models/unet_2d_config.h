// The configuration of a UNet2DConditionModel, checked and with one entry for each block.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace tenon::models {

enum class ClassEmbedding : unsigned char {
  none,
  table,              ///< class_labels int64 [batch] pick a row
  timestep,           ///< class_labels [batch] are embedded as times are
  identity,           ///< class_labels [batch, time width] are the embedding
  projection,         ///< class_labels [batch, n] through two linear layers
  simple_projection,  ///< ... through one
};

struct UnetBlock {
  bool cross_attention = false;
  std::int64_t channels = 0;  ///< out
  std::int64_t layers = 0;    ///< resnets of a down block; an up block has one more
  std::int64_t heads = 0;
  std::int64_t context_dim = 0;
  bool only_cross_attention = false;
  std::vector<std::int64_t> transformer_layers;  ///< one for each resnet with attention
};

struct UnetConfig {
  std::int64_t in_channels = 4;
  std::int64_t out_channels = 4;
  std::int64_t conv_in_kernel = 3;
  std::int64_t conv_out_kernel = 3;
  bool center_input_sample = false;

  bool fourier_time = false;  ///< random frequencies from the weights instead of fixed ones
  bool flip_sin_to_cos = true;
  double freq_shift = 0;
  std::int64_t time_width = 0;        ///< behind time_embedding
  std::int64_t time_input_width = 0;  ///< before it
  std::int64_t time_cond_width = 0;   ///< of timestep_cond; 0: no such input
  std::string time_activation;        ///< on the finished embedding; "" for none
  std::string timestep_activation;    ///< at the end of time_embedding; "" for none
  ClassEmbedding class_embedding = ClassEmbedding::none;
  std::int64_t class_count = 0;        ///< rows of the table
  std::int64_t class_input_width = 0;  ///< of the projections
  bool class_concat = false;

  std::string activation;
  std::int64_t groups = 32;
  double epsilon = 1e-5;
  bool scale_shift = false;
  std::int64_t downsample_padding = 1;
  double mid_scale_factor = 1;
  bool has_mid = true;
  bool dual_cross_attention = false;
  bool linear_projection = false;
  bool upcast_attention = false;
  std::int64_t text_width = 0;           ///< of encoder_hidden_states as they come in
  std::int64_t text_projection_dim = 0;  ///< what encoder_hid_proj makes of it; 0: there is none

  std::vector<UnetBlock> down;
  UnetBlock mid;
  std::vector<UnetBlock> up;  ///< from the lowest resolution to the highest
};

/// Follows the defaults and the naming of diffusers: `attention_head_dim` is the number of heads,
/// as published configurations mean it. Error(bad_input) names a field, its value and what is
/// supported.
UnetConfig read_unet_config(const Json& config);

}  // namespace tenon::models
