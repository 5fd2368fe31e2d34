#include "passes/projection.h"

namespace tenon::passes {

std::optional<Projection> match_projection(const Graph& graph, const Readers& readers,
                                           ValueId value) {
  if (readers.count(value) != 1) return std::nullopt;
  Projection found;
  const Node* product = graph.producer_of(value, "MatMul");
  if (const Node* sum = graph.producer_of(value, "Add")) {
    const auto parts = operand_of(graph, *sum, "MatMul");
    if (!parts || !graph.is_constant(parts->other) || graph.value(parts->other).shape.size() != 1)
      return std::nullopt;
    if (readers.count(parts->matched_value) != 1) return std::nullopt;
    product = parts->matched;
    found.bias = graph.value(parts->other).constant;
  }
  if (product == nullptr || !graph.is_constant(product->inputs[1])) return std::nullopt;
  found.x = product->inputs[0];
  found.weight = graph.value(product->inputs[1]).constant;
  if (found.weight->shape().size() != 2) return std::nullopt;
  if (found.bias != nullptr && found.bias->shape()[0] != found.weight->shape()[1])
    return std::nullopt;
  return found;
}

}  // namespace tenon::passes
