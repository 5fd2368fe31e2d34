// The decomposed form of LayerNorm -> LayerNormalization:
//   d = x - mean(x);  d / sqrt(mean(d * d) + e) * w + b
#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

const Node* mean_over_last(const Graph& graph, ValueId value) {
  const Node* mean = graph.producer_of(value, "ReduceMean");
  if (mean == nullptr || mean->inputs.size() < 2 || mean->attributes.get_int("keepdims", 1) == 0)
    return nullptr;
  const auto axes = integers(graph, mean->inputs[1]);
  const auto rank = static_cast<std::int64_t>(graph.value(mean->inputs[0]).shape.size());
  return axes && axes->size() == 1 && (axes->at(0) == -1 || axes->at(0) == rank - 1) ? mean
                                                                                     : nullptr;
}

struct Centered {
  ValueId x;
  double epsilon;
};

// d / sqrt(mean(d^2) + e) with d = x - mean(x).
std::optional<Centered> normalized(const Graph& graph, ValueId value) {
  const Node* quotient = graph.producer_of(value, "Div");
  if (quotient == nullptr) return std::nullopt;
  const ValueId centered = quotient->inputs[0];
  const Node* difference = graph.producer_of(centered, "Sub");
  const Node* root = graph.producer_of(quotient->inputs[1], "Sqrt");
  const Node* sum = root == nullptr ? nullptr : graph.producer_of(root->inputs[0], "Add");
  if (difference == nullptr || sum == nullptr) return std::nullopt;
  const Node* mean = mean_over_last(graph, difference->inputs[1]);
  if (mean == nullptr || mean->inputs[0] != difference->inputs[0]) return std::nullopt;
  const auto parts = operand_of(graph, *sum, "ReduceMean");
  if (!parts || mean_over_last(graph, parts->matched_value) == nullptr) return std::nullopt;
  const auto epsilon = scalar(graph, parts->other);
  const ValueId squared = parts->matched->inputs[0];
  const Node* power = graph.producer_of(squared, "Pow");
  const Node* product = graph.producer_of(squared, "Mul");
  const bool is_square =
      (power != nullptr && power->inputs[0] == centered &&
       scalar(graph, power->inputs[1]) == 2.0) ||
      (product != nullptr && product->inputs[0] == centered && product->inputs[1] == centered);
  if (!epsilon || !is_square) return std::nullopt;
  return Centered{difference->inputs[0], *epsilon};
}

}  // namespace

int fuse_layer_norm(Graph& graph, const PassContext&) {
  int fused = 0;
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "Add") continue;
    const auto outer = operand_of(graph, node, "Mul");
    if (!outer || !graph.is_constant(outer->other)) continue;
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const ValueId weight = outer->matched->inputs[side];
      const auto found = normalized(graph, outer->matched->inputs[1 - side]);
      if (!found || !graph.is_constant(weight) || graph.value(weight).shape.size() != 1 ||
          graph.value(outer->other).shape != graph.value(weight).shape) {
        continue;
      }
      if (graph.value(weight).shape[0] == graph.value(found->x).shape.back() &&
          replace_with(
              graph, node.outputs[0], "LayerNormalization", node.name,
              {found->x, weight, outer->other},
              {{"axis", std::int64_t{-1}}, {"epsilon", static_cast<float>(found->epsilon)}},
              node.module)) {
        ++fused;
        break;
      }
    }
  }
  return fused;
}

}  // namespace tenon::passes
