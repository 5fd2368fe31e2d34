// softmax(q k^T * scale + mask) v -> tenon.Attention, in the forms that exporters write: the scale
// on the scores, on the query or shared between query and key; key and value heads repeated by
// Expand; casts around the softmax; NaN rows replaced by zeros.
#include <algorithm>
#include <cmath>

#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

struct Scores {
  ValueId query;
  ValueId key;  // [batch, heads, keys, head_dim]
  ValueId mask = kNoValue;
  double scale = 1;
};

// x when value is x [batch, heads, tokens, head_dim] with its last two axes swapped, at once or by
// way of three dimensions; else kNoValue.
ValueId untransposed(const Graph& graph, ValueId value) {
  if (const Node* transpose = graph.producer_of(value, "Transpose")) {
    const bool swaps =
        transpose->attributes.get_ints("perm") == std::vector<std::int64_t>{0, 1, 3, 2};
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
  scores.key = untransposed(graph, scores.key);
  if (scores.key == kNoValue) return std::nullopt;
  if (const auto part = scaled(graph, scores.key)) {
    scores.key = part->x;
    scores.scale *= part->factor;
  }
  return scores;
}

// Scales, casts and at most one sum with a mask between the product and the softmax.
std::optional<Scores> match_scores(const Graph& graph, ValueId value, ValueId mask = kNoValue) {
  double scale = 1;
  for (int depth = 0; depth < 6; ++depth) {
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
    const Node* sum = graph.producer_of(value, "Add");
    // A scale outside of the sum would scale the mask too: another formula.
    if (sum == nullptr || mask != kNoValue || scale != 1) return std::nullopt;
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
  return rank == 4 && axis_of(graph, *softmax, -1, value) == rank - 1 ? softmax : nullptr;
}

// ONNX's own Attention over [batch, heads, tokens, head_dim], where it says no more than ours does.
bool take_standard(Graph& graph, const Node& node) {
  const auto& attributes = node.attributes;
  const bool plain = node.inputs.size() <= 4 && graph.value(node.inputs[0]).shape.size() == 4 &&
                     attributes.get_int("is_causal", 0) == 0 &&
                     attributes.get_float("softcap", 0) == 0 &&
                     attributes.get_int("qk_matmul_output_mode", 0) == 0;
  const bool one_output = std::all_of(node.outputs.begin() + 1, node.outputs.end(),
                                      [](ValueId output) { return output == kNoValue; });
  const auto width = graph.value(node.inputs[0]).shape.back().constant();
  if (!plain || !one_output || !width) return false;
  const float scale =
      attributes.get_float("scale", static_cast<float>(1 / std::sqrt(static_cast<double>(*width))));
  std::vector<ValueId> inputs = node.inputs;
  for (const std::size_t repeated : {std::size_t{1}, std::size_t{2}})
    inputs[repeated] = unrepeated(graph, inputs[repeated]);
  return replace_with(graph, node.outputs[0], "tenon.Attention", node.name, std::move(inputs),
                      {{"scale", scale}}, node.module);
}

}  // namespace

int fuse_attention(Graph& graph, const PassContext&) {
  int fused = 0;
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name == "Attention" && take_standard(graph, node)) ++fused;
    if (node.op->name != "MatMul") continue;
    const Node* softmax = softmax_of(graph, node.inputs[0]);
    if (softmax == nullptr) continue;
    const auto scores = match_scores(graph, softmax->inputs[0]);
    if (!scores || graph.value(scores->query).shape.size() != 4) continue;
    const ValueId key = unrepeated(graph, scores->key);
    const ValueId value = unrepeated(graph, node.inputs[1]);
    // Keys and values must be repeated alike.
    if (graph.value(key).shape.size() != 4 || graph.value(value).shape.size() != 4 ||
        graph.value(key).shape[1] != graph.value(value).shape[1])
      continue;
    std::vector<ValueId> inputs = {scores->query, key, value};
    if (scores->mask != kNoValue) inputs.push_back(scores->mask);
    if (replace_with(graph, node.outputs[0], "tenon.Attention", node.name, std::move(inputs),
                     {{"scale", static_cast<float>(scores->scale)}}, node.module))
      ++fused;
  }
  return fused;
}

}  // namespace tenon::passes
