// The decomposed form of RMSNorm -> RMSNormalization:
//   x * (1 / sqrt(mean(x * x) + e)) * w, with casts to float32 inside and the factors in any order.
#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

// 1 / sqrt(v), Pow(v, -0.5), Reciprocal(Sqrt(v)) -> v
ValueId inverse_root_of(const Graph& graph, ValueId value) {
  ValueId root = kNoValue;
  if (const Node* reciprocal = graph.producer_of(value, "Reciprocal")) root = reciprocal->inputs[0];
  if (const Node* quotient = graph.producer_of(value, "Div")) {
    if (scalar(graph, quotient->inputs[0]) == 1.0) root = quotient->inputs[1];
  }
  if (const Node* power = graph.producer_of(value, "Pow")) {
    return scalar(graph, power->inputs[1]) == -0.5 ? power->inputs[0] : kNoValue;
  }
  const Node* square_root = graph.producer_of(root, "Sqrt");
  return square_root != nullptr ? square_root->inputs[0] : kNoValue;
}

// x when value = x * x.
ValueId square_of(const Graph& graph, ValueId value) {
  if (const Node* power = graph.producer_of(value, "Pow")) {
    return scalar(graph, power->inputs[1]) == 2.0 ? power->inputs[0] : kNoValue;
  }
  const Node* product = graph.producer_of(value, "Mul");
  return product != nullptr && product->inputs[0] == product->inputs[1] ? product->inputs[0]
                                                                        : kNoValue;
}

bool over_last_axis(const Graph& graph, const Node& mean) {
  if (mean.attributes.get_int("keepdims", 1) == 0 || mean.inputs.size() < 2) return false;
  const auto axes = integers(graph, mean.inputs[1]);
  const auto rank = static_cast<std::int64_t>(graph.value(mean.inputs[0]).shape.size());
  return axes && axes->size() == 1 && (axes->at(0) == -1 || axes->at(0) == rank - 1);
}

struct Statistics {
  ValueId x;
  double epsilon;
};

// Reads 1 / sqrt(mean(x^2) + e).
std::optional<Statistics> inverse_rms(const Graph& graph, ValueId value) {
  const Node* sum = graph.producer_of(inverse_root_of(graph, value), "Add");
  if (sum == nullptr) return std::nullopt;
  const auto parts = operand_of(graph, *sum, "ReduceMean");
  if (!parts || !over_last_axis(graph, *parts->matched)) return std::nullopt;
  const auto epsilon = scalar(graph, parts->other);
  const ValueId x = square_of(graph, parts->matched->inputs[0]);
  if (!epsilon || x == kNoValue) return std::nullopt;
  return Statistics{x, *epsilon};
}

// The normalized x of a product or quotient, before the weight.
std::optional<Statistics> normalized(const Graph& graph, ValueId value) {
  if (const Node* product = graph.producer_of(value, "Mul")) {
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const auto found = inverse_rms(graph, product->inputs[side]);
      if (found && found->x == product->inputs[1 - side]) return found;
    }
  }
  const Node* quotient = graph.producer_of(value, "Div");
  const Node* root = quotient == nullptr ? nullptr : graph.producer_of(quotient->inputs[1], "Sqrt");
  const Node* sum = root == nullptr ? nullptr : graph.producer_of(root->inputs[0], "Add");
  const auto parts = sum == nullptr ? std::nullopt : operand_of(graph, *sum, "ReduceMean");
  if (!parts || !over_last_axis(graph, *parts->matched)) return std::nullopt;
  const auto epsilon = scalar(graph, parts->other);
  if (!epsilon || square_of(graph, parts->matched->inputs[0]) != quotient->inputs[0])
    return std::nullopt;
  return Statistics{quotient->inputs[0], *epsilon};
}

}  // namespace

int fuse_rms_norm(Graph& graph, const PassContext&) {
  int fused = 0;
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "Mul") continue;
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const ValueId weight = node.inputs[side];
      const auto found = normalized(graph, through_casts(graph, node.inputs[1 - side]));
      if (!found || !graph.is_constant(weight) || graph.value(weight).shape.size() != 1) continue;
      const ValueId x = through_casts(graph, found->x);
      const DimShape& shape = graph.value(x).shape;
      // The result has the type of the weight's product: casts around the statistics are the op's
      // own.
      if (graph.value(weight).shape[0] != shape.back() ||
          graph.value(x).dtype != graph.value(node.outputs[0]).dtype) {
        continue;
      }
      if (replace_with(
              graph, node.outputs[0], "RMSNormalization", node.name, {x, weight},
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
