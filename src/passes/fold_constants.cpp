// Computes what depends on constants alone, and what is known from shapes alone. Large weights are
// not computed but rearranged on demand.
#include <algorithm>

#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

// More than this is not worth keeping twice; weights are rearranged lazily below whatever their
// size.
constexpr std::int64_t kMaxFolded = std::int64_t{1} << 20;

// A rearrangement of one constant, to be done when it is read.
SourcePtr rearranged(const Graph& graph, const Node& node) {
  if (node.outputs[0] == kNoValue) return nullptr;
  const SourcePtr& base = graph.value(node.inputs[0]).constant;
  const graph::Value& output = graph.value(node.outputs[0]);
  const auto shape = constant_shape(output.shape);
  if (!shape) return nullptr;
  const std::string_view op = node.op->name;
  if (op == "Cast" && is_float(base->dtype()) && is_float(output.dtype))
    return cast_source(base, output.dtype);
  if (op == "Transpose" && base->shape().size() == 2) {
    const auto perm = node.attributes.get_ints("perm", {1, 0});
    return perm[0] == 1 ? transposed_source(base) : base;
  }
  const bool same_order = op == "Reshape" || op == "Unsqueeze" || op == "Squeeze" ||
                          op == "Flatten" || op == "Identity";
  return same_order ? reshaped_source(base, *shape) : nullptr;
}

// int64 values whose elements are numbers by shape inference.
bool fold_content(Graph& graph, ValueId output) {
  const graph::Value& value = graph.value(output);
  if (value.dtype != DType::i64 || !value.content) return false;
  const auto numbers = constant_shape(*value.content);
  const auto shape = constant_shape(value.shape);
  if (!numbers || !shape || element_count(*shape) != static_cast<std::int64_t>(numbers->size()))
    return false;
  graph.replace_value(
      output, graph.add_constant(value.name + "_folded", Tensor::from_ints(*shape, *numbers)));
  return true;
}

bool all_inputs_constant(const Graph& graph, const Node& node) {
  if (node.inputs.empty()) return false;
  return std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](ValueId input) { return input == kNoValue || graph.is_constant(input); });
}

bool small(const Graph& graph, const Node& node) {
  return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId output) {
    if (output == kNoValue) return true;
    const auto shape = constant_shape(graph.value(output).shape);
    return shape && element_count(*shape) <= kMaxFolded;
  });
}

}  // namespace

int fold_constants(Graph& graph, const PassContext& context) {
  int folded = 0;
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.outputs.size() == 1 && node.outputs[0] != kNoValue &&
        fold_content(graph, node.outputs[0])) {
      ++folded;
      continue;
    }
    if (!all_inputs_constant(graph, node)) continue;
    if (const SourcePtr source = rearranged(graph, node)) {
      graph.replace_value(
          node.outputs[0],
          graph.add_constant(graph.value(node.inputs[0]).name + "_rearranged", source));
      ++folded;
      continue;
    }
    if (!small(graph, node) || !context.evaluate) continue;
    std::vector<Tensor> results = context.evaluate(graph, node.outputs, {});
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      const std::string name = graph.value(node.outputs[i]).name + "_folded";
      graph.replace_value(node.outputs[i], graph.add_constant(name, std::move(results[i])));
    }
    ++folded;
  }
  return folded;
}

}  // namespace tenon::passes
