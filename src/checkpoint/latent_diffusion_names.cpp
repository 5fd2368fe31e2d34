#include "checkpoint/latent_diffusion_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <optional>

#include <fmt/core.h>

#include "base/error.h"

namespace tenon::checkpoint {
namespace {

constexpr std::int64_t kMaxBlocks = 256;
// Layers of the text encoder of Stable Diffusion 2 when the last is cut off.
constexpr std::int64_t kCutLayers = 23;

using Replacement = std::pair<std::string_view, std::string_view>;

constexpr std::array<Replacement, 6> kResnet = {{{"in_layers.0.", "norm1."},
                                                 {"in_layers.2.", "conv1."},
                                                 {"out_layers.0.", "norm2."},
                                                 {"out_layers.3.", "conv2."},
                                                 {"emb_layers.1.", "time_emb_proj."},
                                                 {"skip_connection.", "conv_shortcut."}}};
constexpr std::array<Replacement, 5> kVaeAttention = {{{"norm.", "group_norm."},
                                                       {"q.", "to_q."},
                                                       {"k.", "to_k."},
                                                       {"v.", "to_v."},
                                                       {"proj_out.", "to_out.0."}}};
constexpr std::array<Replacement, 1> kVaeResnet = {{{"nin_shortcut.", "conv_shortcut."}}};
constexpr std::array<Replacement, 6> kOpenClipLayer = {{{"ln_1.", "layer_norm1."},
                                                        {"ln_2.", "layer_norm2."},
                                                        {"mlp.c_fc.", "mlp.fc1."},
                                                        {"mlp.c_proj.", "mlp.fc2."},
                                                        {"attn.out_proj.", "self_attn.out_proj."},
                                                        {"attn.in_proj_", "self_attn.in_proj_"}}};

// `rest` with the first prefix of the table that it has replaced.
template <std::size_t N>
std::string with_prefix(std::string_view rest, const std::array<Replacement, N>& table) {
  for (const auto& [from, to] : table) {
    if (!from.empty() && rest.starts_with(from))
      return std::string(to) + std::string(rest.substr(from.size()));
  }
  return std::string(rest);
}

bool any_starts_with(const WeightMap& weights, const std::string& prefix) {
  const auto at = weights.lower_bound(prefix);
  return at != weights.end() && at->first.starts_with(prefix);
}

// The number behind `prefix` in a name, and what follows behind its dot.
struct Numbered {
  std::int64_t number;
  std::string_view rest;
};
std::optional<Numbered> numbered(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  Numbered found{};
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), found.number);
  const auto digits = static_cast<std::size_t>(end - name.data());
  if (error != std::errc() || digits >= name.size() || name[digits] != '.' || found.number < 0)
    return std::nullopt;
  found.rest = name.substr(digits + 1);
  return found;
}

// One more than the largest number behind `prefix`.
std::int64_t count_of(const WeightMap& weights, const std::string& prefix) {
  std::int64_t count = 0;
  for (auto at = weights.lower_bound(prefix); at != weights.end() && at->first.starts_with(prefix);
       ++at) {
    if (const auto found = numbered(at->first, prefix)) count = std::max(count, found->number + 1);
    if (count > kMaxBlocks)
      bad_input("tensor {}: at most {} blocks are read", shown_name(at->first), kMaxBlocks);
  }
  return count;
}

// Moves the weights under `prefix` to `renamed`, their names changed by `rename`.
template <typename Rename>
void move_under(WeightMap& from, const std::string& prefix, WeightMap& renamed, Rename&& rename) {
  for (auto at = from.lower_bound(prefix); at != from.end() && at->first.starts_with(prefix);) {
    auto node = from.extract(at++);
    const std::string name = rename(std::string_view(node.key()).substr(prefix.size()));
    add_weight(renamed, name, std::move(node.mapped()));
  }
}

void move_plain(WeightMap& from, const std::string& prefix, WeightMap& renamed,
                const std::string& to) {
  move_under(from, prefix, renamed, [&](std::string_view rest) { return to + std::string(rest); });
}

void move_resnet(WeightMap& from, const std::string& prefix, WeightMap& renamed,
                 const std::string& to) {
  move_under(from, prefix, renamed,
             [&](std::string_view rest) { return to + with_prefix(rest, kResnet); });
}

void rename_down(WeightMap& from, WeightMap& renamed) {
  int block = 0;
  int layer = 0;
  const std::int64_t count = count_of(from, "input_blocks.");
  for (std::int64_t i = 1; i < count; ++i) {
    const std::string old = fmt::format("input_blocks.{}.", i);
    const std::string now = fmt::format("down_blocks.{}.", block);
    if (any_starts_with(from, old + "0.op.")) {
      move_plain(from, old + "0.op.", renamed, now + "downsamplers.0.conv.");
      ++block;
      layer = 0;
      continue;
    }
    move_resnet(from, old + "0.", renamed, fmt::format("{}resnets.{}.", now, layer));
    move_plain(from, old + "1.", renamed, fmt::format("{}attentions.{}.", now, layer));
    ++layer;
  }
}

void rename_up(WeightMap& from, WeightMap& renamed) {
  int block = 0;
  int layer = 0;
  const std::int64_t count = count_of(from, "output_blocks.");
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string old = fmt::format("output_blocks.{}.", i);
    const std::string now = fmt::format("up_blocks.{}.", block);
    bool last = false;
    for (const char* place : {"1.conv.", "2.conv."}) {
      if (!any_starts_with(from, old + place)) continue;
      move_plain(from, old + place, renamed, now + "upsamplers.0.conv.");
      last = true;
    }
    move_resnet(from, old + "0.", renamed, fmt::format("{}resnets.{}.", now, layer));
    move_plain(from, old + "1.", renamed, fmt::format("{}attentions.{}.", now, layer));
    ++layer;
    if (!last) continue;
    ++block;
    layer = 0;
  }
}

// The values of a [out, in, 1, 1] (or [out, in, 1]) convolution as a matrix.
void make_matrix(Weight& weight) {
  const Shape& shape = weight.source->shape();
  const bool pointwise =
      shape.size() > 2 &&
      std::all_of(shape.begin() + 2, shape.end(), [](std::int64_t size) { return size == 1; });
  if (pointwise) weight.source = reshaped_source(weight.source, {shape[0], shape[1]});
}

// One half of an autoencoder. `side` is down or up, `sampler` downsample or upsample.
void rename_half(WeightMap& from, WeightMap& renamed, const std::string& half,
                 const std::string& side, const std::string& sampler) {
  const std::string levels = half + "." + side + ".";
  const std::int64_t count = count_of(from, levels);
  for (std::int64_t level = 0; level < count; ++level) {
    const std::string old = fmt::format("{}{}.", levels, level);
    // The decoder counts its levels from the highest resolution, diffusers from the lowest.
    const std::string now =
        fmt::format("{}.{}_blocks.{}.", half, side, side == "up" ? count - 1 - level : level);
    for (const auto& [group, name] :
         {std::pair{"block.", "resnets."}, std::pair{"attn.", "attentions."}}) {
      move_under(from, old + group, renamed, [&](std::string_view rest) {
        const std::size_t dot = std::min(rest.find('.'), rest.size() - 1) + 1;
        const std::string inner = name == std::string_view("resnets.")
                                      ? with_prefix(rest.substr(dot), kVaeResnet)
                                      : with_prefix(rest.substr(dot), kVaeAttention);
        return now + name + std::string(rest.substr(0, dot)) + inner;
      });
    }
    move_plain(from, fmt::format("{}{}.conv.", old, sampler), renamed,
               fmt::format("{}{}rs.0.conv.", now, sampler));
  }
  for (int block = 1; block <= 2; ++block) {
    move_under(from, fmt::format("{}.mid.block_{}.", half, block), renamed,
               [&](std::string_view rest) {
                 return fmt::format("{}.mid_block.resnets.{}.{}", half, block - 1,
                                    with_prefix(rest, kVaeResnet));
               });
  }
  move_under(from, half + ".mid.attn_1.", renamed, [&](std::string_view rest) {
    return half + ".mid_block.attentions.0." + with_prefix(rest, kVaeAttention);
  });
  move_plain(from, half + ".norm_out.", renamed, half + ".conv_norm_out.");
}

// Query, key and value, one below the other, each `width` rows.
void split_in_proj(const std::string& name, const Weight& weight, WeightMap& renamed) {
  const std::size_t at = name.rfind("in_proj_");
  const std::string kind = name.substr(at + std::string_view("in_proj_").size());
  const std::int64_t rows = weight.source->rows();
  if (rows % 3 != 0 || rows == 0)
    bad_input("tensor {} has {} rows, a multiple of 3 was expected", shown_name(name), rows);
  for (std::int64_t part = 0; part < 3; ++part) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(rows / 3));
    std::iota(order.begin(), order.end(), part * rows / 3);
    add_weight(renamed, fmt::format("{}{}_proj.{}", name.substr(0, at), "qkv"[part], kind),
               {gathered_rows_source(weight.source, std::move(order)), weight.extents});
  }
}

}  // namespace

WeightMap rename_unet(WeightMap weights) {
  WeightMap renamed;
  rename_down(weights, renamed);
  rename_up(weights, renamed);
  move_resnet(weights, "middle_block.0.", renamed, "mid_block.resnets.0.");
  move_plain(weights, "middle_block.1.", renamed, "mid_block.attentions.0.");
  move_resnet(weights, "middle_block.2.", renamed, "mid_block.resnets.1.");
  constexpr std::array<Replacement, 8> kOthers = {{{"time_embed.0.", "time_embedding.linear_1."},
                                                   {"time_embed.2.", "time_embedding.linear_2."},
                                                   {"label_emb.0.0.", "class_embedding.linear_1."},
                                                   {"label_emb.0.2.", "class_embedding.linear_2."},
                                                   {"label_emb.", "class_embedding."},
                                                   {"input_blocks.0.0.", "conv_in."},
                                                   {"out.0.", "conv_norm_out."},
                                                   {"out.2.", "conv_out."}}};
  move_under(weights, "", renamed,
             [&](std::string_view rest) { return with_prefix(rest, kOthers); });
  return renamed;
}

WeightMap rename_vae(WeightMap weights) {
  WeightMap renamed;
  rename_half(weights, renamed, "encoder", "down", "downsample");
  rename_half(weights, renamed, "decoder", "up", "upsample");
  move_plain(weights, "", renamed, "");
  for (auto& [name, weight] : renamed) {
    if (name.find(".attentions.") != std::string::npos) make_matrix(weight);
  }
  return renamed;
}

WeightMap rename_open_clip(WeightMap weights) {
  WeightMap renamed;
  const std::string blocks = "transformer.resblocks.";
  const std::int64_t count = count_of(weights, blocks);
  const std::int64_t kept = count == kCutLayers || count < 2 ? count : count - 1;
  for (std::int64_t layer = 0; layer < count; ++layer) {
    WeightMap mapped;
    move_under(weights, fmt::format("{}{}.", blocks, layer), mapped, [&](std::string_view rest) {
      return fmt::format("text_model.encoder.layers.{}.{}", layer,
                         with_prefix(rest, kOpenClipLayer));
    });
    if (layer >= kept) continue;
    for (auto& [name, weight] : mapped) {
      if (name.find(".in_proj_") != std::string::npos) {
        split_in_proj(name, weight, renamed);
      } else {
        add_weight(renamed, name, std::move(weight));
      }
    }
  }
  move_plain(weights, "positional_embedding", renamed,
             "text_model.embeddings.position_embedding.weight");
  move_plain(weights, "token_embedding.", renamed, "text_model.embeddings.token_embedding.");
  move_plain(weights, "ln_final.", renamed, "text_model.final_layer_norm.");
  return renamed;
}

}  // namespace tenon::checkpoint
