#include "checkpoint/meta.h"

#include <array>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "checkpoint/meta_params.h"
#include "checkpoint/torch_file.h"

namespace tenon::checkpoint {

namespace fs = std::filesystem;

namespace {

constexpr int kMaxShards = 64;
constexpr std::string_view kEmbedding = "tok_embeddings.weight";

// How the shards of a tensor make up the whole.
enum class Split { rows, columns, replicated };
// Query and key projections have one pair of neighbouring rows for each rotary frequency.
enum class Rotary { none, query, key };

struct Rule {
  std::string_view meta;          // after `layers.N.` for those of a layer
  std::string_view hugging_face;  // after `model.layers.N.`
  Split split;
  Rotary rotary = Rotary::none;
};

constexpr std::array<Rule, 9> kLayerRules = {
    {{"attention.wq.weight", "self_attn.q_proj.weight", Split::rows, Rotary::query},
     {"attention.wk.weight", "self_attn.k_proj.weight", Split::rows, Rotary::key},
     {"attention.wv.weight", "self_attn.v_proj.weight", Split::rows},
     {"attention.wo.weight", "self_attn.o_proj.weight", Split::columns},
     {"feed_forward.w1.weight", "mlp.gate_proj.weight", Split::rows},
     {"feed_forward.w2.weight", "mlp.down_proj.weight", Split::columns},
     {"feed_forward.w3.weight", "mlp.up_proj.weight", Split::rows},
     {"attention_norm.weight", "input_layernorm.weight", Split::replicated},
     {"ffn_norm.weight", "post_attention_layernorm.weight", Split::replicated}}};
constexpr std::array<Rule, 3> kOuterRules = {
    {{kEmbedding, "model.embed_tokens.weight", Split::columns},  // by rows since Llama 3
     {"norm.weight", "model.norm.weight", Split::replicated},
     {"output.weight", "lm_head.weight", Split::rows}}};

struct Placed {
  const Rule* rule = nullptr;
  std::string name;  // of the Hugging Face form
};

// Nothing when the name is none of a Llama's.
std::optional<Placed> place(std::string_view name, std::int64_t layers) {
  for (const Rule& rule : kOuterRules) {
    if (rule.meta == name) return Placed{&rule, std::string(rule.hugging_face)};
  }
  constexpr std::string_view kLayers = "layers.";
  if (!name.starts_with(kLayers)) return std::nullopt;
  std::int64_t layer = 0;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kLayers.size(), end, layer);
  if (error != std::errc() || rest == end || *rest != '.' || layer < 0 || layer >= layers) {
    return std::nullopt;
  }
  const std::string_view inner(rest + 1, static_cast<std::size_t>(end - rest - 1));
  for (const Rule& rule : kLayerRules) {
    if (rule.meta == inner) {
      return Placed{&rule, fmt::format("model.layers.{}.{}", layer, rule.hugging_face)};
    }
  }
  return std::nullopt;
}

class MetaReader {
 public:
  MetaReader(MetaParams params, std::vector<WeightMap> shards)
      : params_(params), shards_(std::move(shards)) {
    settle_vocabulary();
  }

  WeightMap join() const {
    WeightMap joined;
    for (const auto& entry : shards_[0]) {
      const std::string& name = entry.first;
      if (name.ends_with("rope.freqs")) continue;  // follows from rope_theta
      const std::optional<Placed> placed = place(name, params_.layers);
      if (!placed)
        bad_input("{} is no tensor of a Llama with {} layers", shown_name(name), params_.layers);
      add_weight(joined, placed->name, with_context("tensor " + name, [&] {
                   return joined_weight(name, *placed->rule);
                 }));
    }
    check_complete(joined);
    return joined;
  }

  const MetaParams& params() const { return params_; }

 private:
  const Weight& part(std::size_t shard, std::string_view name) const {
    const auto found = shards_[shard].find(name);
    if (found == shards_[shard].end())
      bad_input("shard {} lacks tensor {}", shard, shown_name(name));
    return found->second;
  }

  // Llama 1 and 2 split the embedding by columns, Llama 3 by rows; its width tells.
  bool embedding_by_rows() const {
    const Shape& shape = part(0, kEmbedding).source->shape();
    return shape.size() == 2 && shape[1] == params_.dim;
  }

  void settle_vocabulary() {
    const Shape& shape = part(0, kEmbedding).source->shape();
    if (shape.size() != 2) {
      bad_input("{} has shape {}, a matrix was expected", kEmbedding, to_string(shape));
    }
    const auto shards = static_cast<std::int64_t>(shards_.size());
    const std::int64_t rows = embedding_by_rows() ? shape[0] * shards : shape[0];
    if (params_.vocabulary == 0) params_.vocabulary = rows;
  }

  Shape expected(const Rule& rule) const {
    const std::int64_t kv_rows = params_.kv_heads * params_.head_dim;
    if (rule.split == Split::replicated) return {params_.dim};
    if (&rule >= kOuterRules.data() && &rule < kOuterRules.data() + kOuterRules.size()) {
      return {params_.vocabulary, params_.dim};
    }
    if (rule.meta.starts_with("attention.")) {
      const bool kv = rule.rotary == Rotary::key || rule.meta == "attention.wv.weight";
      return {kv ? kv_rows : params_.dim, params_.dim};
    }
    return rule.split == Split::columns ? Shape{params_.dim, params_.hidden}
                                        : Shape{params_.hidden, params_.dim};
  }

  Weight joined_weight(std::string_view name, const Rule& rule) const {
    std::vector<SourcePtr> parts;
    std::vector<Extent> extents;
    for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
      const Weight& weight = part(shard, name);
      if (rule.split == Split::replicated && shard > 0) {
        if (weight.source->shape() == parts[0]->shape()) continue;
        bad_input("has shape {} in shard 0 and {} in shard {}", to_string(parts[0]->shape()),
                  to_string(weight.source->shape()), shard);
      }
      check_rank(*weight.source, expected(rule).size());
      parts.push_back(weight.source);
      extents.insert(extents.end(), weight.extents.begin(), weight.extents.end());
    }
    const bool by_rows = rule.split == Split::rows || (name == kEmbedding && embedding_by_rows());
    SourcePtr whole = concat_source(std::move(parts), by_rows ? 0 : 1);
    if (whole->shape() != expected(rule)) {
      bad_input("has shape {} over {} shards, params.json asks for {}", to_string(whole->shape()),
                shards_.size(), to_string(expected(rule)));
    }
    return {half_split(std::move(whole), rule.rotary), std::move(extents)};
  }

  static void check_rank(const TensorSource& source, std::size_t rank) {
    if (source.shape().size() != rank) {
      bad_input("has shape {}, {} dimensions were expected", to_string(source.shape()), rank);
    }
  }

  // From pairs of neighbours, the rotary layout of Meta, to pairs of halves.
  SourcePtr half_split(SourcePtr whole, Rotary rotary) const {
    if (rotary == Rotary::none) return whole;
    const std::int64_t half = params_.head_dim / 2;
    std::vector<std::int64_t> order;
    order.reserve(static_cast<std::size_t>(whole->rows()));
    for (std::int64_t head = 0; head < whole->rows(); head += params_.head_dim) {
      for (std::int64_t row = 0; row < params_.head_dim; ++row) {
        order.push_back(head + (row < half ? 2 * row : 2 * (row - half) + 1));
      }
    }
    return gathered_rows_source(std::move(whole), std::move(order));
  }

  // Every layer has all of its tensors; the output may be tied to the embedding.
  void check_complete(const WeightMap& joined) const {
    for (std::int64_t layer = 0; layer < params_.layers; ++layer) {
      for (const Rule& rule : kLayerRules) {
        if (joined.contains(fmt::format("model.layers.{}.{}", layer, rule.hugging_face))) continue;
        bad_input("tensor layers.{}.{} is missing; params.json asks for {} layers", layer,
                  rule.meta, params_.layers);
      }
    }
    if (!joined.contains("model.norm.weight")) bad_input("tensor norm.weight is missing");
  }

  MetaParams params_;
  std::vector<WeightMap> shards_;
};

std::vector<fs::path> shard_paths(const Folder& folder) {
  std::vector<fs::path> paths;
  for (int shard = 0; shard < kMaxShards; ++shard) {
    const auto path = folder.find(fmt::format("consolidated.{:02}.pth", shard));
    if (!path) break;
    paths.push_back(*path);
  }
  const std::size_t present = folder.list("consolidated.", ".pth").size();
  if (present != paths.size()) {
    Error error(ErrorCode::bad_input,
                fmt::format("{}: holds {} consolidated.NN.pth files, of which {} are numbered from "
                            "00 without a gap",
                            folder.root().string(), present, paths.size()));
    throw error.hint("download the missing shards");
  }
  return paths;
}

}  // namespace

bool is_meta(const Folder& folder) {
  return folder.find("params.json") && folder.find("consolidated.00.pth");
}

MetaCheckpoint read_meta(const Folder& folder) {
  const fs::path params_path = *folder.find("params.json");
  const MetaParams params = with_context(
      params_path.string(), [&] { return parse_meta_params(read_config(params_path)); });
  MetaCheckpoint checkpoint;
  checkpoint.set.form = "meta";
  checkpoint.set.files = shard_paths(folder);
  std::vector<WeightMap> shards;
  for (const fs::path& path : checkpoint.set.files) {
    shards.push_back(read_torch(MappedFile::open(path)));
  }
  return with_context(folder.root().string(), [&] {
    const MetaReader reader(params, std::move(shards));
    checkpoint.set.weights = reader.join();
    const bool tied = !checkpoint.set.weights.contains("lm_head.weight");
    const DType dtype =
        checkpoint.set.weights.at("model.layers.0.mlp.gate_proj.weight").source->dtype();
    checkpoint.config = meta_config(reader.params(), dtype, tied);
    return std::move(checkpoint);
  });
}

}  // namespace tenon::checkpoint
