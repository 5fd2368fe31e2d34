// x * sigmoid(x) -> Swish.
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
    if (!gate || gate->matched->inputs[0] != gate->other) continue;
    graph.replace_value(node.outputs[0],
                        graph.add("Swish", node.name, {gate->other}, {}, node.module));
    ++fused;
  }
  return fused;
}

}  // namespace tenon::passes
