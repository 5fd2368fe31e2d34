// silu(x Wg + bg) * (x Wu + bu) -> tenon.SwiGlu(x [Wg Wu] + [bg bu]).
#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"
#include "passes/projection.h"

namespace tenon::passes {
int fuse_swiglu(Graph& graph, const PassContext&) {
  int fused = 0;
  const Readers readers(graph);
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "Mul") continue;
    const auto gated = operand_of(graph, node, "Swish");
    if (!gated || gated->matched->attributes.get_float("alpha", 1.0F) != 1.0F ||
        readers.count(gated->matched_value) != 1) {
      continue;
    }
    const auto gate = match_projection(graph, readers, gated->matched->inputs[0]);
    const auto up = match_projection(graph, readers, gated->other);
    if (!gate || !up || gate->x != up->x || (gate->bias == nullptr) != (up->bias == nullptr))
      continue;
    if (gate->weight->shape() != up->weight->shape() ||
        gate->weight->dtype() != up->weight->dtype())
      continue;
    const std::string module = node.module + ".gate_up";
    const ValueId weight =
        graph.add_constant(module + ".weight", concat_source({gate->weight, up->weight}, 1));
    ValueId both = graph.add("MatMul", module, {gate->x, weight}, {}, module);
    if (gate->bias) {
      both = graph.add(
          "Add", module,
          {both, graph.add_constant(module + ".bias", concat_source({gate->bias, up->bias}, 0))},
          {}, module);
    }
    graph.replace_value(node.outputs[0],
                        graph.add("tenon.SwiGlu", node.name, {both}, {}, node.module));
    ++fused;
  }
  return fused;
}

}  // namespace tenon::passes
