// Softmax before opset 13: over all axes from `axis` on, taken together.
#include "graph/op_schema.h"
#include "onnx/upgrade.h"

namespace tenon::onnx {

void upgrade_softmax(OldNode& node) {
  const std::size_t rank = node.rank(0);
  const std::size_t axis = graph::InferenceContext::axis(node.attributes.get_int("axis", 1), rank);
  if (axis + 1 == rank) {
    node.attributes.set("axis", std::int64_t{-1});
    return;
  }
  const graph::ValueId shape = node.add("Shape", {node.input(0)});
  const graph::ValueId flat =
      node.add("Flatten", {node.input(0)}, {{"axis", static_cast<std::int64_t>(axis)}});
  const graph::ValueId soft = node.add(node.op, {flat}, {{"axis", std::int64_t{-1}}});
  node.op = "Reshape";
  node.inputs = {soft, shape};
  node.attributes = {};
}

}  // namespace tenon::onnx
