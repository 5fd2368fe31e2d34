// A product with a constant matrix -> tenon.Linear, which takes the bias, the activation and the
// residual that follow into its own loop.
#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

constexpr std::size_t kBias = 2;
constexpr std::size_t kResidual = 3;

bool has(const Node& linear, std::size_t input) {
  return linear.inputs.size() > input && linear.inputs[input] != kNoValue;
}

// The inputs of a Linear that computes the same; none for other forms.
std::vector<ValueId> inputs_of_gemm(Graph& graph, const Node& gemm) {
  const auto& attributes = gemm.attributes;
  if (attributes.get_float("alpha", 1) != 1 || attributes.get_int("transA", 0) != 0 ||
      !graph.is_constant(gemm.inputs[1]))
    return {};
  std::vector<ValueId> inputs = {gemm.inputs[0], gemm.inputs[1]};
  if (has(gemm, kBias)) {
    const graph::Value& bias = graph.value(gemm.inputs[kBias]);
    if (attributes.get_float("beta", 1) != 1 || !graph.is_constant(gemm.inputs[kBias]) ||
        bias.shape.size() != 1 || bias.shape[0] != graph.value(gemm.outputs[0]).shape[1])
      return {};
    inputs.push_back(gemm.inputs[kBias]);
  }
  if (attributes.get_int("transB", 0) != 0) {
    const graph::Value& weight = graph.value(inputs[1]);
    inputs[1] = graph.add_constant(weight.name + ".transposed", transposed_source(weight.constant));
  }
  return inputs;
}

int make_linear(Graph& graph) {
  int made = 0;
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name == "Gemm" && graph.value(node.outputs[0]).dtype == DType::f32) {
      std::vector<ValueId> inputs = inputs_of_gemm(graph, node);
      if (!inputs.empty() && replace_with(graph, node.outputs[0], "tenon.Linear", node.name,
                                          std::move(inputs), {}, node.module))
        ++made;
      continue;
    }
    if (node.op->name != "MatMul" || !graph.is_constant(node.inputs[1])) continue;
    if (graph.value(node.inputs[1]).shape.size() != 2 ||
        graph.value(node.inputs[0]).shape.size() < 2)
      continue;
    if (graph.value(node.outputs[0]).dtype != DType::f32) continue;
    graph.replace_value(node.outputs[0],
                        graph.add("tenon.Linear", node.name, node.inputs, {}, node.module));
    graph.remove_node(id);
    ++made;
  }
  return made;
}

// Changes a Linear and lets it stand for what followed it.
void absorb(Graph& graph, NodeId linear, NodeId follower) {
  const ValueId old = graph.node(follower).outputs[0];
  const ValueId now = graph.node(linear).outputs[0];
  graph.remove_node(follower);
  graph.replace_value(old, now);
}

bool absorb_bias(Graph& graph, const Readers& readers, NodeId id) {
  const Node node = graph.node(id);
  if (node.op->name != "Add") return false;
  const auto parts = operand_of(graph, node, "tenon.Linear");
  if (!parts || readers.count(parts->matched_value) != 1 || !graph.is_constant(parts->other))
    return false;
  const graph::Value& bias = graph.value(parts->other);
  const auto width = graph.value(node.outputs[0]).shape.back();
  const bool untouched = !has(*parts->matched, kBias) && !has(*parts->matched, kResidual) &&
                         parts->matched->attributes.get_string("activation", "").empty();
  if (bias.shape.size() != 1 || bias.shape[0] != width || !untouched) return false;
  const NodeId linear = graph.value(parts->matched_value).producer;
  graph.node(linear).inputs.resize(kBias + 1, kNoValue);
  graph.set_input(linear, kBias, parts->other);
  absorb(graph, linear, id);
  return true;
}

bool absorb_activation(Graph& graph, const Readers& readers, NodeId id) {
  const Node node = graph.node(id);
  const std::string activation = activation_name(node);
  if (activation.empty() || readers.count(node.inputs[0]) != 1) return false;
  const Node* linear = graph.producer_of(node.inputs[0], "tenon.Linear");
  if (linear == nullptr || has(*linear, kResidual) ||
      !linear->attributes.get_string("activation", "").empty())
    return false;
  const NodeId producer = graph.value(node.inputs[0]).producer;
  graph.node(producer).attributes.set("activation", activation);
  absorb(graph, producer, id);
  return true;
}

bool absorb_residual(Graph& graph, const Readers& readers, NodeId id) {
  const Node node = graph.node(id);
  if (node.op->name != "Add") return false;
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const ValueId product = node.inputs[side];
    const ValueId residual = node.inputs[1 - side];
    const Node* linear = graph.producer_of(product, "tenon.Linear");
    if (linear == nullptr || readers.count(product) != 1 || has(*linear, kResidual)) continue;
    if (graph.value(residual).shape != graph.value(product).shape || graph.is_constant(residual))
      continue;
    if (depends_on(graph, residual, product)) continue;
    const NodeId producer = graph.value(product).producer;
    graph.node(producer).inputs.resize(kResidual + 1, kNoValue);
    graph.set_input(producer, kResidual, residual);
    absorb(graph, producer, id);
    return true;
  }
  return false;
}

// One kind after the other over the whole graph: bias before activation before residual.
template <typename Absorb>
int absorb_all(Graph& graph, Absorb absorb_one) {
  int done = 0;
  const Readers readers(graph);
  for (const NodeId id : graph.order()) {
    if (!graph.node(id).removed && absorb_one(graph, readers, id)) ++done;
  }
  graph.tidy();
  return done;
}

}  // namespace

int fuse_linear(Graph& graph, const PassContext&) {
  const int made = make_linear(graph);
  graph.tidy();
  return made + absorb_all(graph, absorb_bias) + absorb_all(graph, absorb_activation) +
         absorb_all(graph, absorb_residual);
}

}  // namespace tenon::passes
