// Drops operations that change nothing.
#include <numeric>

#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

bool same_type_and_shape(const Graph& graph, ValueId a, ValueId b) {
  return graph.value(a).dtype == graph.value(b).dtype &&
         graph.value(a).shape == graph.value(b).shape;
}

bool is_identity_order(const std::vector<std::int64_t>& perm) {
  for (std::size_t i = 0; i < perm.size(); ++i) {
    if (perm[i] != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

// The axes of a Transpose; without the attribute they are reversed.
std::vector<std::int64_t> order_of(const Node& transpose, std::size_t rank) {
  std::vector<std::int64_t> reversed(rank);
  std::iota(reversed.rbegin(), reversed.rend(), std::int64_t{0});
  return transpose.attributes.get_ints("perm", reversed);
}

// The value that may stand for the node's output, or kNoValue.
ValueId equivalent(Graph& graph, const Node& node) {
  const std::string_view op = node.op->name;
  const ValueId input = node.inputs.empty() ? kNoValue : node.inputs[0];
  if (input == kNoValue || node.outputs.size() != 1 || node.outputs[0] == kNoValue) return kNoValue;
  const ValueId output = node.outputs[0];
  if (op == "Identity") return input;
  const bool moves_nothing = op == "Reshape" || op == "Expand" || op == "Slice" || op == "Cast" ||
                             op == "Tile" || op == "Squeeze" || op == "Unsqueeze" ||
                             op == "Flatten";
  // A slice with step 1 of the full shape is the whole; with step -1 it is a reversal.
  if (moves_nothing && same_type_and_shape(graph, input, output) &&
      (op != "Slice" || slice_range(graph, output))) {
    return input;
  }
  if (op == "Transpose") {
    const auto rank = graph.value(input).shape.size();
    const auto perm = order_of(node, rank);
    if (is_identity_order(perm)) return input;
    const Node* before = graph.producer_of(input, "Transpose");
    if (before == nullptr) return kNoValue;
    const auto first = order_of(*before, rank);
    std::vector<std::int64_t> joined;
    for (const std::int64_t axis : perm) joined.push_back(first.at(static_cast<std::size_t>(axis)));
    return is_identity_order(joined) ? before->inputs[0] : kNoValue;
  }
  if (op == "Reshape") {  // of a reshape: the last shape alone counts
    const Node* before = graph.producer_of(input, "Reshape");
    if (before != nullptr && same_type_and_shape(graph, before->inputs[0], output))
      return before->inputs[0];
    return kNoValue;
  }
  if ((op == "Mul" || op == "Div") && node.inputs.size() == 2) {
    if (scalar(graph, node.inputs[1]) == 1.0 && same_type_and_shape(graph, input, output))
      return input;
    if (op == "Mul" && scalar(graph, input) == 1.0 &&
        same_type_and_shape(graph, node.inputs[1], output)) {
      return node.inputs[1];
    }
  }
  if ((op == "Add" || op == "Sub") && node.inputs.size() == 2 &&
      scalar(graph, node.inputs[1]) == 0.0 && same_type_and_shape(graph, input, output)) {
    return input;
  }
  return kNoValue;
}

}  // namespace

int simplify(Graph& graph, const PassContext&) {
  int dropped = 0;
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    const ValueId same = equivalent(graph, node);
    if (same == kNoValue) continue;
    // An output must stay distinct from an input or constant that it would otherwise be.
    const bool fixed = graph.value(same).producer == kNoNode;
    if (graph.is_output(node.outputs[0]) && (fixed || graph.is_output(same))) continue;
    graph.replace_value(node.outputs[0], same);
    graph.remove_node(id);
    ++dropped;
  }
  return dropped;
}

}  // namespace tenon::passes
