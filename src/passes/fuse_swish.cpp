// x * sigmoid(alpha x) -> Swish.
#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {

int fuse_swish(Graph& graph, const PassContext&) {
  int fused = 0;
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "Mul") continue;
    const auto gate = operand_of(graph, node, "Sigmoid");
    if (!gate) continue;
    const ValueId inner = gate->matched->inputs[0];
    Attributes attributes;
    if (inner != gate->other) {
      const auto part = scaled(graph, inner);
      if (!part || part->x != gate->other) continue;
      attributes.set("alpha", static_cast<float>(part->factor));
    }
    if (replace_with(graph, node.outputs[0], "Swish", node.name, {gate->other}, attributes,
                     node.module))
      ++fused;
  }
  return fused;
}

}  // namespace tenon::passes
