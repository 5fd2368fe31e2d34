// softmax(q k^T * scale + mask) v -> tenon.Attention, in the forms that exporters write: the scale
// on the scores, on the query or shared between query and key; key and value heads repeated by
// Expand; casts around the softmax; NaN rows replaced by zeros.
#include <algorithm>
#include <cmath>

#include "graph/op_schema.h"
#include "passes/heads.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

struct Scores {
  ValueId query;
  ValueId key;           // [batch, heads, keys, head_dim]
  bool by_rows = false;  // the key is [batch, keys, heads, head_dim] instead
  ValueId mask = kNoValue;
  double scale = 1;
};

// [batch, heads, tokens, width] beside [batch * heads, tokens, width].
bool folds(const DimShape& four, const DimShape& three) {
  return four.size() == 4 && three.size() == 3 && three[0] == four[0] * four[1] &&
         three[1] == four[2] && three[2] == four[3];
}

// x [batch, heads, tokens, width] of value = reshape(x) with the heads folded into the batch; value
// itself when it has four dimensions.
ValueId unfolded(const Graph& graph, ValueId value) {
  if (value == kNoValue || graph.value(value).shape.size() == 4) return value;
  const Node* reshape = graph.producer_of(value, "Reshape");
  if (reshape == nullptr) return kNoValue;
  const ValueId x = reshape->inputs[0];
  return folds(graph.value(x).shape, graph.value(value).shape) ? x : kNoValue;
}

// x when value is x [batch, heads, tokens, head_dim] with its last two axes swapped, at once or by
// way of three dimensions; else kNoValue.
ValueId untransposed(const Graph& graph, ValueId value) {
  if (const Node* transpose = graph.producer_of(value, "Transpose")) {
    const auto perm = transpose->attributes.get_ints("perm");
    const bool swaps =
        perm == std::vector<std::int64_t>{0, 1, 3, 2} || perm == std::vector<std::int64_t>{0, 2, 1};
    return swaps ? transpose->inputs[0] : kNoValue;
  }
  const Node* outer = graph.producer_of(value, "Reshape");
  const Node* transpose =
      outer == nullptr ? nullptr : graph.producer_of(outer->inputs[0], "Transpose");
  const Node* inner =
      transpose == nullptr ? nullptr : graph.producer_of(transpose->inputs[0], "Reshape");
  if (inner == nullptr ||
      transpose->attributes.get_ints("perm") != std::vector<std::int64_t>{0, 2, 1})
    return kNoValue;
  const DimShape& x = graph.value(inner->inputs[0]).shape;
  const DimShape& flat = graph.value(inner->outputs[0]).shape;
  const DimShape& result = graph.value(value).shape;
  const bool fits = x.size() == 4 && flat.size() == 3 && result.size() == 4 &&
                    flat[0] == x[0] * x[1] && flat[1] == x[2] && flat[2] == x[3] &&
                    result[0] == x[0] && result[1] == x[1] && result[2] == x[3] &&
                    result[3] == x[2];
  return fits ? inner->inputs[0] : kNoValue;
}

// reshape(expand(unsqueeze(x, 2))): every head of x stands for several: x.
ValueId unrepeated(const Graph& graph, ValueId value) {
  const Node* reshape = graph.producer_of(value, "Reshape");
  const Node* expand =
      reshape == nullptr ? nullptr : graph.producer_of(reshape->inputs[0], "Expand");
  const Node* unsqueeze =
      expand == nullptr ? nullptr : graph.producer_of(expand->inputs[0], "Unsqueeze");
  if (unsqueeze == nullptr) return value;
  const ValueId base = unsqueeze->inputs[0];
  const auto& narrow = graph.value(base).shape;
  const auto& five = graph.value(expand->outputs[0]).shape;
  const auto& wide = graph.value(value).shape;
  const bool fits = narrow.size() == 4 && five.size() == 5 && wide.size() == 4 &&
                    five[1] == narrow[1] &&
                    integers(graph, unsqueeze->inputs[1]) == std::vector<std::int64_t>{2} &&
                    wide[1] == five[1] * five[2] && wide[3] == narrow[3];
  return fits ? base : value;
}

// q and k of a product with the transposed key, with their scales taken off.
std::optional<Scores> match_product(const Graph& graph, ValueId value) {
  const Node* product = graph.producer_of(value, "MatMul");
  if (product == nullptr) return std::nullopt;
  Scores scores{product->inputs[0], product->inputs[1]};
  if (const auto part = scaled(graph, scores.query)) {
    scores.query = part->x;
    scores.scale *= part->factor;
  }
  if (const auto part = scaled(graph, scores.key)) {
    scores.key = part->x;
    scores.scale *= part->factor;
  }
  const Node* both = graph.producer_of(scores.key, "Transpose");
  scores.by_rows =
      both != nullptr && both->attributes.get_ints("perm") == std::vector<std::int64_t>{0, 2, 3, 1};
  scores.key = scores.by_rows ? both->inputs[0] : untransposed(graph, scores.key);
  if (scores.key == kNoValue) return std::nullopt;
  if (const auto part = scaled(graph, scores.key)) {
    scores.key = part->x;
    scores.scale *= part->factor;
  }
  return scores;
}

// 0 * memory of any content, as torch writes the sum that a product without one does not have.
bool is_nothing(const Graph& graph, ValueId value) {
  if (scalar(graph, value) == 0.0) return true;
  const Node* product = graph.producer_of(value, "Mul");
  if (product == nullptr) return false;
  const auto parts = operand_of(graph, *product, "ConstantOfShape");
  return parts && scalar(graph, parts->other) == 0.0;
}

// x of value = reshape(x) that folds heads into the batch or takes them out again; else kNoValue.
ValueId refolded(const Graph& graph, ValueId value) {
  const Node* reshape = graph.producer_of(value, "Reshape");
  if (reshape == nullptr) return kNoValue;
  const auto& from = graph.value(reshape->inputs[0]).shape;
  const auto& to = graph.value(value).shape;
  return folds(from, to) || folds(to, from) ? reshape->inputs[0] : kNoValue;
}

// Scales, casts and at most one sum with a mask between the product and the softmax.
std::optional<Scores> match_scores(const Graph& graph, ValueId value, ValueId mask = kNoValue) {
  double scale = 1;
  for (int depth = 0; depth < 8; ++depth) {
    value = through_casts(graph, value);
    if (auto scores = match_product(graph, value)) {
      scores->mask = mask;
      scores->scale *= scale;
      return scores;
    }
    if (const auto part = scaled(graph, value)) {
      value = part->x;
      scale *= part->factor;
      continue;
    }
    if (const ValueId other = refolded(graph, value); other != kNoValue) {
      value = other;
      continue;
    }
    const Node* sum = graph.producer_of(value, "Add");
    if (sum != nullptr && is_nothing(graph, sum->inputs[0])) {
      value = sum->inputs[1];
      continue;
    }
    if (sum != nullptr && is_nothing(graph, sum->inputs[1])) {
      value = sum->inputs[0];
      continue;
    }
    // A scale outside of the sum would scale the mask too: another formula.
    if (sum == nullptr || mask != kNoValue || scale != 1) return std::nullopt;
    // A mask of folded heads is not one of batch and heads.
    if (graph.value(value).shape.size() != 4) return std::nullopt;
    // The scores are the side that leads to a product; the other is the mask.
    auto scores = match_scores(graph, sum->inputs[0], sum->inputs[1]);
    return scores ? scores : match_scores(graph, sum->inputs[1], sum->inputs[0]);
  }
  return std::nullopt;
}

// The softmax behind casts and a Where that clears NaN rows.
const Node* softmax_of(const Graph& graph, ValueId value) {
  value = through_casts(graph, value);
  if (const Node* where = graph.producer_of(value, "Where")) {
    const Node* test = graph.producer_of(where->inputs[0], "IsNaN");
    if (test == nullptr || test->inputs[0] != where->inputs[2] ||
        scalar(graph, where->inputs[1]) != 0.0)
      return nullptr;
    value = through_casts(graph, where->inputs[2]);
  }
  const Node* softmax = graph.producer_of(value, "Softmax");
  if (softmax == nullptr) return nullptr;
  const auto rank = static_cast<std::int64_t>(graph.value(value).shape.size());
  const bool last = axis_of(graph, *softmax, -1, value) == rank - 1;
  return (rank == 4 || rank == 3) && last ? softmax : nullptr;
}

// ONNX's own Attention, where it says no more than ours does.
bool take_standard(Graph& graph, const Node& node) {
  const auto& attributes = node.attributes;
  const bool plain = node.inputs.size() <= 4 && attributes.get_float("softcap", 0) == 0 &&
                     attributes.get_int("qk_matmul_output_mode", 0) == 0;
  const bool one_output = std::all_of(node.outputs.begin() + 1, node.outputs.end(),
                                      [](ValueId output) { return output == kNoValue; });
  const auto& query = graph.value(node.inputs[0]).shape;
  auto width = query.back().constant();
  if (!plain || !one_output || !width) return false;
  Attributes ours;
  if (query.size() == 3) {
    const std::int64_t heads = attributes.get_int("q_num_heads", 0);
    if (heads <= 0 || *width % heads != 0) return false;
    *width /= heads;
    ours.set("q_heads", heads);
    ours.set("kv_heads", attributes.get_int("kv_num_heads", 0));
    ours.set("head_dim", *width);
  }
  ours.set("scale", attributes.get_float(
                        "scale", static_cast<float>(1 / std::sqrt(static_cast<double>(*width)))));
  if (attributes.get_int("is_causal", 0) != 0) ours.set("is_causal", std::int64_t{1});
  std::vector<ValueId> inputs = node.inputs;
  for (const std::size_t repeated : {std::size_t{1}, std::size_t{2}})
    inputs[repeated] = unrepeated(graph, inputs[repeated]);
  return replace_with(graph, node.outputs[0], "tenon.Attention", node.name, std::move(inputs),
                      std::move(ours), node.module);
}

// The value [batch, heads, tokens, width] that the product's becomes: itself, or what takes the
// heads out of the batch after it.
ValueId attended(const Graph& graph, const Readers& readers, ValueId product, const Dim& heads) {
  if (graph.value(product).shape.size() == 4) return product;
  const NodeId reader = only_reader(graph, readers, product);
  if (reader == kNoNode || graph.node(reader).op->name != "Reshape") return kNoValue;
  const Node& reshape = graph.node(reader);
  const auto& shape = graph.value(reshape.outputs[0]).shape;
  const bool fits = folds(shape, graph.value(product).shape) && shape[1] == heads;
  return fits ? reshape.outputs[0] : kNoValue;
}

// Three dimensions [batch, tokens, width] without a reshape to tell heads from the batch: one head.
bool take_one_head(Graph& graph, const Node& node, const Scores& scores) {
  const auto& query = graph.value(scores.query).shape;
  const auto& value = graph.value(node.inputs[1]).shape;
  const auto width = query.back().constant();
  if (query.size() != 3 || value.size() != 3 || value[2] != query[2] || !width ||
      scores.mask != kNoValue)
    return false;
  return replace_with(graph, node.outputs[0], "tenon.Attention", node.name,
                      {scores.query, scores.key, node.inputs[1]},
                      {{"scale", static_cast<float>(scores.scale)},
                       {"q_heads", std::int64_t{1}},
                       {"kv_heads", std::int64_t{1}},
                       {"head_dim", *width}},
                      node.module);
}

bool take_product(Graph& graph, const Readers& readers, const Node& node) {
  const Node* softmax = softmax_of(graph, node.inputs[0]);
  if (softmax == nullptr) return false;
  auto scores = match_scores(graph, softmax->inputs[0]);
  if (!scores) return false;
  if (scores->by_rows) {
    scores->key = graph.add("Transpose", node.name + ".keys", {scores->key},
                            {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}}, node.module);
  }
  const ValueId query = unfolded(graph, scores->query);
  ValueId key = unfolded(graph, scores->key);
  ValueId value = unfolded(graph, node.inputs[1]);
  if (query == kNoValue || key == kNoValue || value == kNoValue)
    return take_one_head(graph, node, *scores);
  key = unrepeated(graph, key);
  value = unrepeated(graph, value);
  // Keys and values must be repeated alike.
  if (graph.value(query).shape.size() != 4 || graph.value(key).shape.size() != 4 ||
      graph.value(value).shape.size() != 4 ||
      graph.value(key).shape[1] != graph.value(value).shape[1])
    return false;
  const ValueId old = attended(graph, readers, node.outputs[0], graph.value(query).shape[1]);
  if (old == kNoValue) return take_one_head(graph, node, *scores);
  std::vector<ValueId> inputs = {query, key, value};
  if (scores->mask != kNoValue) inputs.push_back(scores->mask);
  return replace_with(graph, old, "tenon.Attention", node.name, std::move(inputs),
                      {{"scale", static_cast<float>(scores->scale)}}, node.module);
}

}  // namespace

int fuse_attention(Graph& graph, const PassContext&) {
  int fused = 0;
  const Readers readers(graph);
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name == "Attention" && take_standard(graph, node)) ++fused;
    if (node.op->name == "MatMul" && take_product(graph, readers, node)) ++fused;
  }
  return fused;
}

}  // namespace tenon::passes
