// Queries, keys and values of one attention come from products with the same rows: one product
// gives all.
#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"
#include "passes/projection.h"

namespace tenon::passes {
int merge_qkv(Graph& graph, const PassContext&) {
  int merged = 0;
  const Readers readers(graph);
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "tenon.CachedAttention") continue;
    std::vector<Projection> parts;
    for (std::size_t i = 0; i < 3; ++i) {
      if (const auto part = match_projection(graph, readers, node.inputs[i]))
        parts.push_back(*part);
    }
    if (parts.size() != 3 || parts[1].x != parts[0].x || parts[2].x != parts[0].x) continue;
    const bool biased = parts[0].bias != nullptr;
    if ((parts[1].bias != nullptr) != biased || (parts[2].bias != nullptr) != biased) continue;

    std::vector<SourcePtr> weights;
    std::vector<SourcePtr> biases;
    std::vector<std::int64_t> starts;
    std::int64_t width = 0;
    for (const Projection& part : parts) {
      weights.push_back(part.weight);
      if (biased) biases.push_back(part.bias);
      starts.push_back(width);
      width += weights.back()->shape()[1];
    }
    if (weights[1]->dtype() != weights[0]->dtype() || weights[2]->dtype() != weights[0]->dtype())
      continue;
    const std::string module = node.module + ".qkv";
    const ValueId weight = graph.add_constant(module + ".weight", concat_source(weights, 1));
    ValueId rows = graph.add("MatMul", module, {parts[0].x, weight}, {}, module);
    if (biased) {
      const ValueId bias = graph.add_constant(module + ".bias", concat_source(biases, 0));
      rows = graph.add("Add", module, {rows, bias}, {}, module);
    }
    Node& attention = graph.node(id);
    const char* offsets[] = {"q_offset", "k_offset", "v_offset"};
    for (std::size_t i = 0; i < 3; ++i) {
      attention.inputs[i] = rows;
      attention.attributes.set(offsets[i], node.attributes.get_int(offsets[i], 0) + starts[i]);
    }
    ++merged;
  }
  return merged;
}

}  // namespace tenon::passes
