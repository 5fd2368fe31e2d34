// The first half of a row times the GELU of the second -> tenon.GeGlu.
#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

// The value whose last axis falls into the two halves, or kNoValue.
ValueId whole_of(const Graph& graph, ValueId first, ValueId second) {
  const auto a = part_of(graph, first);
  const auto b = part_of(graph, second);
  if (!a || !b || a->input != b->input || a->axis != b->axis) return kNoValue;
  const auto& shape = graph.value(a->input).shape;
  const bool halves = a->axis + 1 == static_cast<std::int64_t>(shape.size()) && a->begin == 0 &&
                      b->begin == a->length && b->length == a->length &&
                      shape.back() == Dim(2 * a->length);
  return halves ? a->input : kNoValue;
}

}  // namespace

int fuse_geglu(Graph& graph, const PassContext&) {
  int fused = 0;
  const Readers readers(graph);
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "Mul") continue;
    const auto gated = operand_of(graph, node, "Gelu");
    if (!gated || gated->matched->attributes.get_string("approximate", "none") != "none" ||
        readers.count(gated->matched_value) != 1)
      continue;
    const ValueId whole = whole_of(graph, gated->other, gated->matched->inputs[0]);
    if (whole != kNoValue &&
        replace_with(graph, node.outputs[0], "tenon.GeGlu", node.name, {whole}, {}, node.module))
      ++fused;
  }
  return fused;
}

}  // namespace tenon::passes
