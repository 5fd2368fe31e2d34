// Turns past_key_values / present of a decoder into state of the engine: attention reads and writes
// a cache, and everything else, being row by row, runs on the tokens of any sequences side by side.
//
// What the mask means is not guessed from its nodes: its subgraph is evaluated on a probe with
// padding and a past, and must come out causal with padding hidden.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "graph/op_schema.h"
#include "passes/heads.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

struct Layer {
  NodeId attention;
  ValueId past_key, past_value;
  ValueId key,
      value;      // of the new tokens, [batch, kv heads, sequence, head_dim], before the rotation
  ValueId query;  // likewise
  ValueId cos = kNoValue, sin = kNoValue;
  std::int64_t rotary_dim = 0;
  std::int64_t interleaved = 0;
  ValueId output;  // [batch, sequence, heads * head_dim]
};

bool is_input(const Graph& graph, ValueId value) {
  return std::find(graph.inputs().begin(), graph.inputs().end(), value) != graph.inputs().end();
}

// concat(past, new) along the tokens, which is also what the model gives back.
bool match_append(const Graph& graph, ValueId value, ValueId& past, ValueId& fresh) {
  const Node* concat = graph.producer_of(value, "Concat");
  if (concat == nullptr || concat->inputs.size() != 2 || axis_of(graph, *concat, 0, value) != 2)
    return false;
  past = concat->inputs[0];
  fresh = concat->inputs[1];
  return is_input(graph, past) && graph.is_output(value);
}

// Takes the rotation off a query or key.
bool match_rotation(const Graph& graph, ValueId& value, Layer& layer) {
  const Node* rotary = graph.producer_of(value, "RotaryEmbedding");
  if (rotary == nullptr) return layer.cos == kNoValue;
  const bool has_positions = rotary->inputs.size() > 3 && rotary->inputs[3] != kNoValue;
  if (has_positions || (layer.cos != kNoValue &&
                        (layer.cos != rotary->inputs[1] || layer.sin != rotary->inputs[2]))) {
    return false;
  }
  layer.cos = rotary->inputs[1];
  layer.sin = rotary->inputs[2];
  const std::int64_t whole = graph.value(value).shape.back().constant().value_or(0);
  const std::int64_t dim = rotary->attributes.get_int("rotary_embedding_dim", 0);
  layer.rotary_dim = dim == 0 ? whole : dim;
  layer.interleaved = rotary->attributes.get_int("interleaved", 0);
  value = rotary->inputs[0];
  return true;
}

// reshape(transpose(attention)): the rows that the output projection reads.
ValueId rows_after(const Graph& graph, const Readers& readers, ValueId attended) {
  for (const NodeId turned : readers.of(attended)) {
    const Node& transpose = graph.node(turned);
    if (transpose.op->name != "Transpose" ||
        transpose.attributes.get_ints("perm") != std::vector<std::int64_t>{0, 2, 1, 3}) {
      continue;
    }
    ValueId rows = transpose.outputs[0];
    const auto& next = readers.of(rows);
    if (next.size() != 1 || graph.node(next[0]).op->name != "Reshape") continue;
    rows = graph.node(next[0]).outputs[0];
    if (graph.value(rows).shape.size() == 3) return rows;
  }
  return kNoValue;
}

std::optional<Layer> match_layer(const Graph& graph, const Readers& readers, NodeId id) {
  const Node& node = graph.node(id);
  Layer layer{};
  layer.attention = id;
  layer.query = node.inputs[0];
  layer.cos = layer.sin = kNoValue;
  if (!match_append(graph, node.inputs[1], layer.past_key, layer.key)) return std::nullopt;
  if (!match_append(graph, node.inputs[2], layer.past_value, layer.value)) return std::nullopt;
  if (!match_rotation(graph, layer.query, layer) || !match_rotation(graph, layer.key, layer))
    return std::nullopt;
  layer.output = rows_after(graph, readers, node.outputs[0]);
  return layer.output == kNoValue ? std::nullopt : std::optional(layer);
}

// A run with two sequences of 4 cached and 3 new tokens, the first with two places of padding on
// the left.
class Probe {
 public:
  static constexpr std::int64_t kBatch = 2, kPast = 4, kNew = 3, kTotal = kPast + kNew;

  explicit Probe(const Graph& graph) {
    for (const ValueId input : graph.inputs()) {
      const graph::Value& value = graph.value(input);
      Shape shape;
      for (std::size_t axis = 0; axis < value.shape.size(); ++axis)
        shape.push_back(size_of(value, axis));
      feeds_.emplace(input, filled(value, shape));
    }
  }
  const std::map<ValueId, Tensor>& feeds() const { return feeds_; }
  static bool is_padding(std::int64_t batch, std::int64_t token) { return batch == 0 && token < 2; }
  static std::int64_t position(std::int64_t batch, std::int64_t token) {
    return std::max<std::int64_t>(0, token - (batch == 0 ? 2 : 0));
  }

 private:
  static std::int64_t size_of(const graph::Value& value, std::size_t axis) {
    if (const auto number = value.shape[axis].constant()) return *number;
    if (axis == 0) return kBatch;
    if (value.shape.size() == 4) return kPast;  // a cache
    return value.name == "attention_mask" ? kTotal : kNew;
  }
  static Tensor filled(const graph::Value& value, const Shape& shape) {
    Tensor tensor(value.dtype, shape);
    std::fill_n(tensor.data(), tensor.bytes(), std::byte{0});
    if (value.dtype != DType::i64 || shape.size() != 2) return tensor;
    auto numbers = tensor.as<std::int64_t>();
    for (std::int64_t b = 0; b < shape[0]; ++b) {
      for (std::int64_t i = 0; i < shape[1]; ++i) {
        const auto at = static_cast<std::size_t>(b * shape[1] + i);
        if (value.name == "attention_mask") numbers[at] = is_padding(b, i) ? 0 : 1;
        if (value.name == "position_ids") numbers[at] = position(b, kPast + i);
      }
    }
    return tensor;
  }
  std::map<ValueId, Tensor> feeds_;
};

// Added to a score, this or less leaves nothing of it after the softmax.
constexpr double kHidden = -1e4;

// nullopt when the mask is what a cache implies; otherwise what it does instead.
std::optional<std::string> mask_fault(const Tensor& mask) {
  Shape shape = mask.shape();
  while (shape.size() < 4) shape.insert(shape.begin(), 1);
  const bool is_bool = mask.dtype() == DType::boolean;
  const Tensor numbers = converted(mask.view(), DType::f64);
  const auto at = [&](std::int64_t b, std::int64_t q, std::int64_t k) {
    const std::int64_t row =
        (shape[0] == 1 ? 0 : b) * shape[1] * shape[2] + (shape[2] == 1 ? 0 : q);
    return numbers.as<double>()[static_cast<std::size_t>(row * shape[3] + (shape[3] == 1 ? 0 : k))];
  };
  for (std::int64_t b = 0; b < Probe::kBatch; ++b) {
    for (std::int64_t q = 0; q < Probe::kNew; ++q) {
      for (std::int64_t k = 0; k < Probe::kTotal; ++k) {
        const bool visible = k <= Probe::kPast + q && !Probe::is_padding(b, k);
        const double found = at(b, q, k);
        const bool seen = is_bool ? found != 0 : found > kHidden;
        if (visible != seen || (seen && !is_bool && found != 0)) {
          return fmt::format("a token at place {} {} the one at place {}{}", Probe::kPast + q,
                             seen ? "sees" : "does not see", k,
                             Probe::is_padding(b, k) ? ", which is padding" : "");
        }
      }
    }
  }
  return std::nullopt;
}

bool masks_are_causal(const Graph& graph, const PassContext& context,
                      const std::vector<Layer>& layers) {
  std::vector<ValueId> masks;
  for (const Layer& layer : layers) {
    const Node& node = graph.node(layer.attention);
    const ValueId mask = node.inputs.size() > 3 ? node.inputs[3] : kNoValue;
    if (mask == kNoValue) {
      log::warn("{}: attention without a mask keeps the plain form", node.name);
      return false;
    }
    if (std::find(masks.begin(), masks.end(), mask) == masks.end()) masks.push_back(mask);
  }
  const Probe probe(graph);
  std::vector<Tensor> values;
  try {
    values = context.evaluate(graph, masks, probe.feeds());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    log::warn("the mask cannot be computed for a batch of {} with {} tokens in the cache: {}",
              Probe::kBatch, Probe::kPast, error.what());
    return false;
  }
  for (std::size_t i = 0; i < masks.size(); ++i) {
    if (const auto fault = mask_fault(values[i])) {
      log::warn(
          "the mask {} is not causal with padding: {}; the model runs without a cache of its own",
          graph.value(masks[i]).name, *fault);
      return false;
    }
  }
  return true;
}

// Positions may be computed from the mask or the past: what comes out as them is replaced by the
// input.
void use_given_positions(Graph& graph, const PassContext& context) {
  const auto given = graph.find_value("position_ids");
  const Probe probe(graph);
  std::vector<ValueId> candidates;
  for (const NodeId id : graph.order()) {
    for (const ValueId output : graph.node(id).outputs) {
      if (output == kNoValue) continue;
      const graph::Value& value = graph.value(output);
      const bool plausible = value.dtype == DType::i64 && value.shape.size() == 2 &&
                             !value.content && !constant_shape(value.shape);
      if (plausible && output != given) candidates.push_back(output);
    }
  }
  const std::vector<Tensor> values = context.evaluate(graph, candidates, probe.feeds());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Shape& shape = values[i].shape();
    bool same = shape.size() == 2 && shape[1] == Probe::kNew &&
                (shape[0] == Probe::kBatch || shape[0] == 1);
    for (std::int64_t b = 0; same && b < shape[0]; ++b) {
      for (std::int64_t q = 0; q < Probe::kNew; ++q) {
        const std::int64_t found =
            values[i].as<std::int64_t>()[static_cast<std::size_t>(b * Probe::kNew + q)];
        // Without a batch axis positions cannot know of padding: they count places.
        const std::int64_t wanted =
            shape[0] == 1 ? Probe::kPast + q : Probe::position(b, Probe::kPast + q);
        same &= found == wanted;
      }
    }
    if (!same) continue;
    const auto& ids = graph.value(*graph.find_value("input_ids"));
    const auto positions = graph.find_value("position_ids");
    graph.replace_value(
        candidates[i],
        positions ? *positions : graph.add_input("position_ids", DType::i64, ids.shape));
  }
}

// max(position_ids) + 1 over a whole batch becomes the length of each token's own sequence.
void use_own_lengths(Graph& graph) {
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "Add") continue;
    const auto longest = operand_of(graph, node, "ReduceMax");
    if (!longest || scalar(graph, longest->other) != 1.0) continue;
    const ValueId reduced = longest->matched->inputs[0];
    if (graph.value(reduced).name != "position_ids") continue;
    const auto lengths = graph.find_value("sequence_lengths");
    const DimShape shape = graph.value(reduced).shape;
    graph.replace_value(
        node.outputs[0],
        lengths ? *lengths : graph.add_input("sequence_lengths", DType::i64, shape));
  }
  graph.infer_again();
}

void rewrite_layer(Graph& graph, const PassContext& context, const Layer& layer, std::int64_t index,
                   const HeadLayout& q, const HeadLayout& k, const HeadLayout& v) {
  const Node attention = graph.node(layer.attention);
  const auto& query = graph.value(layer.query).shape;
  std::vector<ValueId> inputs = {q.rows, k.rows, v.rows};
  if (layer.cos != kNoValue) inputs.insert(inputs.end(), {layer.cos, layer.sin});
  Attributes attributes = {
      {"layer", index},
      {"q_heads", *query[1].constant()},
      {"kv_heads", *graph.value(layer.key).shape[1].constant()},
      {"head_dim", *query[3].constant()},
      {"rotary_dim", layer.rotary_dim},
      {"interleaved", layer.interleaved},
      {"scale", attention.attributes.get_float("scale", 1.0F)},
      {"q_offset", q.offset},
      {"q_head_stride", q.head_stride},
      {"k_offset", k.offset},
      {"k_head_stride", k.head_stride},
      {"v_offset", v.offset},
      {"v_head_stride", v.head_stride},
      {"cache_dtype", std::string(context.target.precision == Precision::fp32 ? "fp32" : "bf16")},
  };
  graph.replace_value(layer.output,
                      graph.add("tenon.CachedAttention", attention.name, std::move(inputs),
                                std::move(attributes), attention.module));
}

// The last product computes logits for every token; only some are wanted.
void select_logit_rows(Graph& graph) {
  const ValueId logits = graph.outputs().at(0);
  const Node* product = graph.producer_of(logits, "MatMul");
  if (product == nullptr) {
    const Node* sum = graph.producer_of(logits, "Add");
    const auto parts = sum == nullptr ? std::nullopt : operand_of(graph, *sum, "MatMul");
    product = parts ? parts->matched : nullptr;
  }
  if (product == nullptr) bad_input("the logits are not a product of hidden states and a weight");
  const NodeId id = graph.value(product->outputs[0]).producer;
  const ValueId hidden = product->inputs[0];
  const std::string module = product->module;
  const ValueId rows = graph.add_input("logit_rows", DType::i64, {Dim::symbol("logit_rows")});
  graph.set_input(id, 0, graph.add("tenon.SelectRows", "logit_rows", {hidden, rows}, {}, module));
  graph.infer_again();
}

// One batch row holds the new tokens of all sequences, and nothing comes from outside any more:
// what was computed from the sizes of the cache becomes constant before the cache's inputs go.
void close_state(Graph& graph, const PassContext& context, const std::vector<Layer>& layers) {
  graph.keep_outputs(1);
  std::map<std::string, Dim, std::less<>> replacements;
  for (const Layer& layer : layers) {
    for (const ValueId past : {layer.past_key, layer.past_value}) {
      const Dim& length = graph.value(past).shape[2];
      if (!length.constant()) replacements.emplace(length.to_string(), Dim(0));
      replacements.emplace(graph.value(past).shape[0].to_string(), Dim(1));
    }
  }
  const auto& ids = graph.value(*graph.find_value("input_ids")).shape;
  replacements.emplace(ids[0].to_string(), Dim(1));
  replacements.emplace(ids[1].to_string(), Dim::symbol("tokens"));
  std::vector<std::string> unused;
  for (const Layer& layer : layers) {
    unused.push_back(graph.value(layer.past_key).name);
    unused.push_back(graph.value(layer.past_value).name);
  }
  unused.emplace_back("attention_mask");
  graph.tidy();
  graph.substitute(replacements);
  fold_constants(graph, context);
  graph.tidy();
  for (const std::string& name : unused) {
    const auto input = graph.find_value(name);
    if (!input) continue;
    if (!graph.readers(*input).empty())
      bad_input("{} is still read by {}", name, graph.node(graph.readers(*input)[0]).name);
    graph.remove_input(*input);
  }
}

bool supports(const Graph& graph, const Layer& layer) {
  const auto& q = graph.value(layer.query).shape;
  const auto& k = graph.value(layer.key).shape;
  return q[1].constant() && q[3].constant() && k[1].constant();
}

}  // namespace

int decoder_state(Graph& graph, const PassContext& context) {
  if (!context.target.keep_state || !context.evaluate || graph.outputs().empty()) return 0;
  if (!graph.find_value("input_ids") || graph.value(graph.outputs()[0]).shape.size() != 3) return 0;
  const Readers readers(graph);
  std::vector<Layer> layers;
  for (const NodeId id : graph.order()) {
    if (graph.node(id).op->name != "tenon.Attention") continue;
    const auto layer = match_layer(graph, readers, id);
    if (!layer || !supports(graph, *layer)) {
      log::info("{}: no cache is recognised around this attention", graph.node(id).name);
      return 0;
    }
    layers.push_back(*layer);
  }
  const bool all_state_is_cache = graph.outputs().size() == 1 + 2 * layers.size();
  if (layers.empty() || !all_state_is_cache || !masks_are_causal(graph, context, layers)) return 0;

  struct Rows {
    HeadLayout q, k, v;
  };
  std::vector<Rows> rows;
  for (const Layer& layer : layers) {
    const auto q = trace_heads(graph, layer.query);
    const auto k = trace_heads(graph, layer.key);
    const auto v = trace_heads(graph, layer.value);
    if (!q || !k || !v) return 0;
    rows.push_back({*q, *k, *v});
  }
  use_given_positions(graph, context);
  use_own_lengths(graph);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    rewrite_layer(graph, context, layers[i], static_cast<std::int64_t>(i), rows[i].q, rows[i].k,
                  rows[i].v);
  }
  close_state(graph, context, layers);
  select_logit_rows(graph);
  return static_cast<int>(layers.size());
}

}  // namespace tenon::passes
