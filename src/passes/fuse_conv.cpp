// tenon.Conv takes what follows it into its own loop: bias, a bias an image, the activation, the
// residual.
#include "base/error.h"
#include "graph/op_schema.h"
#include "passes/conv_inputs.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

bool is_bare(const Node& node) {
  return !conv::has(node, conv::kResidual) && node.attributes.get_string("activation", "").empty();
}

// The follower goes, and its value is the convolution's.
void absorb(Graph& graph, NodeId convolution, NodeId follower) {
  const ValueId old = graph.node(follower).outputs[0];
  const ValueId now = graph.node(convolution).outputs[0];
  graph.remove_node(follower);
  graph.replace_value(old, now);
}

// An Add of a convolution that nothing else reads, and what is added to it.
struct Sum {
  NodeId convolution;
  ValueId other;
};
std::optional<Sum> sum_of(const Graph& graph, const Readers& readers, const Node& node,
                          std::size_t side) {
  if (node.op->name != "Add" || readers.count(node.inputs[side]) != 1) return std::nullopt;
  if (graph.producer_of(node.inputs[side], "tenon.Conv") == nullptr) return std::nullopt;
  // An addition of more axes would change the shape.
  if (graph.value(node.inputs[side]).shape != graph.value(node.outputs[0]).shape)
    return std::nullopt;
  return Sum{graph.value(node.inputs[side]).producer, node.inputs[1 - side]};
}

bool absorb_bias(Graph& graph, const Readers& readers, NodeId id) {
  const Node node = graph.node(id);
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const auto sum = sum_of(graph, readers, node, side);
    if (!sum || !graph.is_constant(sum->other)) continue;
    const Node& convolution = graph.node(sum->convolution);
    const SourcePtr source = graph.value(sum->other).constant;
    const auto width = graph.value(node.outputs[0]).shape.back().constant();
    if (conv::has(convolution, conv::kBias) || !is_bare(convolution) || !width) continue;
    if (source->shape().empty() || source->shape().back() != *width ||
        element_count(source->shape()) != *width)
      continue;
    const ValueId bias = graph.add_constant(graph.value(sum->other).name + ".channels",
                                            reshaped_source(source, {*width}));
    conv::set_input(graph, sum->convolution, conv::kBias, bias);
    absorb(graph, sum->convolution, id);
    return true;
  }
  return false;
}

// [N, M] from which `value` [N, 1, 1, M] was made by a change of shape; made here where there is
// none.
ValueId rows_of_images(Graph& graph, ValueId value, const DimShape& wanted) {
  for (ValueId at = value;;) {
    if (graph.value(at).shape == wanted) return at;
    const NodeId producer = graph.value(at).producer;
    if (producer == kNoNode) break;
    const std::string_view op = graph.node(producer).op->name;
    if (op != "Reshape" && op != "Unsqueeze" && op != "Squeeze" && op != "Flatten") break;
    at = graph.node(producer).inputs[0];
  }
  const auto width = wanted[1].constant();
  if (!width) return kNoValue;
  const ValueId shape =
      graph.add_constant(graph.value(value).name + ".rows_shape",
                         Tensor::from_ints({2}, std::vector{std::int64_t{0}, *width}));
  // From [N, 1, 1, M]: the first size is copied.
  return graph.add("Reshape", graph.value(value).name + ".rows", {value, shape});
}

bool absorb_image_bias(Graph& graph, const Readers& readers, NodeId id) {
  const Node node = graph.node(id);
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const auto sum = sum_of(graph, readers, node, side);
    if (!sum || graph.is_constant(sum->other)) continue;
    const Node& convolution = graph.node(sum->convolution);
    const DimShape shape = graph.value(node.outputs[0]).shape;
    const DimShape wanted = {shape[0], Dim(1), Dim(1), shape[3]};
    if (conv::has(convolution, conv::kImageBias) || !is_bare(convolution)) continue;
    if (graph.value(sum->other).shape != wanted || graph.value(sum->other).dtype != DType::f32)
      continue;
    const ValueId rows = rows_of_images(graph, sum->other, {shape[0], shape[3]});
    if (rows == kNoValue) continue;
    conv::set_input(graph, sum->convolution, conv::kImageBias, rows);
    absorb(graph, sum->convolution, id);
    return true;
  }
  return false;
}

bool absorb_activation(Graph& graph, const Readers& readers, NodeId id) {
  const Node node = graph.node(id);
  const std::string activation = activation_name(node);
  if (activation.empty() || readers.count(node.inputs[0]) != 1) return false;
  const Node* convolution = graph.producer_of(node.inputs[0], "tenon.Conv");
  if (convolution == nullptr || !is_bare(*convolution)) return false;
  const NodeId producer = graph.value(node.inputs[0]).producer;
  graph.node(producer).attributes.set("activation", activation);
  absorb(graph, producer, id);
  return true;
}

// Of two convolutions the one computed last takes the other as its residual: so neither waits.
bool absorb_residual(Graph& graph, const Readers& readers, NodeId id) {
  const Node node = graph.node(id);
  std::optional<Sum> chosen;
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const auto sum = sum_of(graph, readers, node, side);
    if (!sum || graph.is_constant(sum->other) || sum->other == node.inputs[side]) continue;
    if (conv::has(graph.node(sum->convolution), conv::kResidual)) continue;
    if (graph.value(sum->other).shape != graph.value(node.outputs[0]).shape) continue;
    if (depends_on(graph, sum->other, node.inputs[side])) continue;
    if (!chosen || chosen->convolution < sum->convolution) chosen = sum;
  }
  if (!chosen) return false;
  conv::set_input(graph, chosen->convolution, conv::kResidual, chosen->other);
  absorb(graph, chosen->convolution, id);
  return true;
}

// One kind after the other over the whole graph, in the order in which the convolution does them.
int absorb_all(Graph& graph, bool (*absorb_one)(Graph&, const Readers&, NodeId)) {
  int done = 0;
  const Readers readers(graph);
  for (const NodeId id : graph.order()) {
    if (!graph.node(id).removed && absorb_one(graph, readers, id)) ++done;
  }
  graph.tidy();
  return done;
}

}  // namespace

int fuse_conv(Graph& graph, const PassContext&) {
  int done = 0;
  for (const auto absorb_one : {absorb_bias, absorb_image_bias, absorb_activation, absorb_residual})
    done += absorb_all(graph, absorb_one);
  return done;
}

}  // namespace tenon::passes
