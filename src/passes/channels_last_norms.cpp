// Normalisations over pictures, channels last: a scale and a shift for each image and channel.
#include <cmath>

#include "base/error.h"
#include "graph/op_schema.h"
#include "passes/channels_last_rules.h"

namespace tenon::passes {
namespace {

bool scale_and_shift(Graph& graph, Layouts& layouts, NodeId id, std::int64_t groups) {
  const Node node = graph.node(id);
  const graph::Value& output = graph.value(node.outputs[0]);
  if (output.shape.size() < 3 || output.dtype != DType::f32 || !output.shape[1].constant())
    return false;
  const ValueId x = layouts.last(node.inputs[0]);
  const ValueId scale =
      graph.add("tenon.GroupScale", node.name + ".scale", {x, node.inputs[1], node.inputs[2]},
                {{"num_groups", groups}, {"epsilon", node.attributes.get_float("epsilon", 1e-5F)}},
                node.module);
  become(graph, id, "tenon.ScaleShift", {x, scale}, {});
  layouts.convert(node.outputs[0]);
  return true;
}

bool group_norm(Graph& graph, Layouts& layouts, NodeId id) {
  return scale_and_shift(graph, layouts, id, graph.node(id).attributes.get_int("num_groups", 1));
}

bool instance_norm(Graph& graph, Layouts& layouts, NodeId id) {
  const auto channels = graph.value(graph.node(id).outputs[0]).shape.at(1).constant();
  return channels && *channels > 0 && scale_and_shift(graph, layouts, id, *channels);
}

// Inputs: x, scale, bias, mean, variance: x * s + (bias - mean * s) with s = scale / sqrt(variance
// + epsilon).
bool batch_norm(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const graph::Value& output = graph.value(node.outputs[0]);
  if (output.shape.size() < 3 || output.dtype != DType::f32) return false;
  std::vector<Tensor> numbers;
  for (std::size_t i = 1; i < 5; ++i) {
    if (!graph.is_constant(node.inputs[i])) return false;
    numbers.push_back(converted(graph.value(node.inputs[i]).constant->load().view(), DType::f64));
  }
  const double epsilon = node.attributes.get_float("epsilon", 1e-5F);
  const Shape shape = numbers[0].shape();
  std::vector<float> scales;
  std::vector<float> shifts;
  for (std::size_t c = 0; c < static_cast<std::size_t>(numbers[0].count()); ++c) {
    const double scale =
        numbers[0].as<double>()[c] / std::sqrt(numbers[3].as<double>()[c] + epsilon);
    scales.push_back(static_cast<float>(scale));
    shifts.push_back(
        static_cast<float>(numbers[1].as<double>()[c] - numbers[2].as<double>()[c] * scale));
  }
  const ValueId scale =
      graph.add_constant(node.name + ".scale", Tensor::from_floats(shape, scales));
  const ValueId shift =
      graph.add_constant(node.name + ".shift", Tensor::from_floats(shape, shifts));
  const ValueId scaled = graph.add("Mul", node.name + ".scaled",
                                   {layouts.last(node.inputs[0]), scale}, {}, node.module);
  become(graph, id, "Add", {scaled, shift}, {});
  layouts.convert(node.outputs[0]);
  return true;
}

constexpr LayoutRow kRows[] = {
    {"GroupNormalization", group_norm, LayoutRow::Wants::first},
    {"InstanceNormalization", instance_norm, LayoutRow::Wants::first},
    {"BatchNormalization", batch_norm, LayoutRow::Wants::first},
};

}  // namespace

std::span<const LayoutRow> norm_layout_rows() { return kRows; }

}  // namespace tenon::passes
