// Ops that work along axes, channels last: the axes that they name move.
#include <algorithm>
#include <numeric>
#include <set>

#include "base/error.h"
#include "graph/op_schema.h"
#include "passes/channels_last_rules.h"

namespace tenon::passes {
namespace {

using Axes = std::vector<std::int64_t>;

Axes last_axes(const Axes& axes, std::size_t rank) {
  Axes moved;
  for (const std::int64_t axis : axes) moved.push_back(last_axis(axis, rank));
  return moved;
}

ValueId int_constant(Graph& graph, const Node& node, std::string_view what, const Axes& numbers) {
  return graph.add_constant(
      fmt::format("{}.{}", node.name, what),
      Tensor::from_ints({static_cast<std::int64_t>(numbers.size())}, numbers));
}

// Elements of an integer vector in another order.
ValueId gathered(Graph& graph, const Node& node, ValueId vector, const Axes& order) {
  const auto known = integers(graph, vector);
  if (!known) {
    return graph.add("Gather", node.name + ".order",
                     {vector, int_constant(graph, node, "indices", order)}, {}, node.module);
  }
  Axes numbers;
  for (const std::int64_t at : order) numbers.push_back(known->at(static_cast<std::size_t>(at)));
  return int_constant(graph, node, "ordered", numbers);
}

bool one_axis(Graph& graph, Layouts& layouts, NodeId id, std::int64_t fallback) {
  const Node node = graph.node(id);
  const std::size_t rank = graph.value(node.inputs[0]).shape.size();
  const std::int64_t axis = node.attributes.get_int("axis", fallback);
  graph.node(id).attributes.set("axis", last_axis(axis, rank));
  for (const ValueId output : node.outputs) {
    if (output != kNoValue) layouts.convert(output);
  }
  return true;
}

bool concat(Graph& graph, Layouts& layouts, NodeId id) {
  for (std::size_t i = 0; i < graph.node(id).inputs.size(); ++i)
    graph.set_input(id, i, layouts.last(graph.node(id).inputs[i]));
  return one_axis(graph, layouts, id, 0);
}

bool split(Graph& graph, Layouts& layouts, NodeId id) {
  graph.set_input(id, 0, layouts.last(graph.node(id).inputs[0]));
  return one_axis(graph, layouts, id, 0);
}

bool softmax(Graph& graph, Layouts& layouts, NodeId id) {
  graph.set_input(id, 0, layouts.last(graph.node(id).inputs[0]));
  return one_axis(graph, layouts, id, -1);
}

// Inputs: data, starts, ends, axes?, steps?.
bool slice(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const std::size_t rank = graph.value(node.inputs[0]).shape.size();
  Axes axes;
  if (node.inputs.size() > 3 && node.inputs[3] != kNoValue) {
    const auto given = integers(graph, node.inputs[3]);
    if (!given) return false;
    axes = *given;
  } else {
    const auto count = graph.value(node.inputs[1]).shape.at(0).constant();
    if (!count) return false;
    axes.resize(static_cast<std::size_t>(*count));
    std::iota(axes.begin(), axes.end(), std::int64_t{0});
  }
  std::vector<ValueId> inputs = node.inputs;
  inputs.resize(std::max<std::size_t>(inputs.size(), 4), kNoValue);
  inputs[0] = layouts.last(inputs[0]);
  inputs[3] = int_constant(graph, node, "axes", last_axes(axes, rank));
  graph.node(id).inputs = std::move(inputs);
  layouts.convert(node.outputs[0]);
  return true;
}

// Inputs: data, pads, value?, axes?.
bool pad(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const std::size_t rank = graph.value(node.inputs[0]).shape.size();
  if (node.inputs.size() > 3 && node.inputs[3] != kNoValue) {
    const auto given = integers(graph, node.inputs[3]);
    if (!given) return false;
    graph.set_input(id, 3, int_constant(graph, node, "axes", last_axes(*given, rank)));
  } else {
    Axes order = last_order(rank);
    for (std::size_t i = 0; i < rank; ++i)
      order.push_back(order[i] + static_cast<std::int64_t>(rank));
    graph.set_input(id, 1, gathered(graph, node, node.inputs[1], order));
  }
  graph.set_input(id, 0, layouts.last(node.inputs[0]));
  layouts.convert(node.outputs[0]);
  return true;
}

// Inputs: data, region?, scales?, sizes?.
bool resize(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const std::size_t rank = graph.value(node.inputs[0]).shape.size();
  if (node.attributes.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize")
    return false;
  const auto given = [&](std::size_t i) {
    return node.inputs.size() > i && node.inputs[i] != kNoValue;
  };
  if (node.attributes.has("axes")) {
    graph.node(id).attributes.set("axes", last_axes(node.attributes.get_ints("axes"), rank));
  } else if (given(2)) {
    if (!graph.is_constant(node.inputs[2])) return false;
    const Tensor scales =
        converted(graph.value(node.inputs[2]).constant->load().view(), DType::f32);
    std::vector<float> ordered;
    for (const std::int64_t axis : last_order(rank))
      ordered.push_back(scales.as<float>()[static_cast<std::size_t>(axis)]);
    graph.set_input(
        id, 2,
        graph.add_constant(node.name + ".scales",
                           Tensor::from_floats({static_cast<std::int64_t>(rank)}, ordered)));
  }
  if (!node.attributes.has("axes") && given(3))
    graph.set_input(id, 3, gathered(graph, node, node.inputs[3], last_order(rank)));
  graph.set_input(id, 0, layouts.last(node.inputs[0]));
  layouts.convert(node.outputs[0]);
  return true;
}

// Without the reduced axes, what is left must stand in the same order either way.
bool keeps_order(const Axes& reduced, std::size_t rank) {
  const std::set<std::int64_t> gone(reduced.begin(), reduced.end());
  if (gone.contains(1)) return true;
  for (std::int64_t axis = 2; axis < static_cast<std::int64_t>(rank); ++axis) {
    if (!gone.contains(axis)) return false;
  }
  return true;
}

bool reduce(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const std::size_t rank = graph.value(node.inputs[0]).shape.size();
  const bool keep = node.attributes.get_int("keepdims", 1) != 0;
  if (node.inputs.size() > 1 && node.inputs[1] != kNoValue) {
    auto axes = integers(graph, node.inputs[1]);
    if (!axes || axes->empty()) return false;
    for (std::int64_t& axis : *axes) axis += axis < 0 ? static_cast<std::int64_t>(rank) : 0;
    if (!keep && !keeps_order(*axes, rank)) return false;
    graph.set_input(id, 1, int_constant(graph, node, "axes", last_axes(*axes, rank)));
  } else if (node.attributes.get_int("noop_with_empty_axes", 0) != 0) {
    return false;
  }
  graph.set_input(id, 0, layouts.last(node.inputs[0]));
  if (keep) layouts.convert(node.outputs[0]);
  return true;
}

bool arg(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const std::size_t rank = graph.value(node.inputs[0]).shape.size();
  std::int64_t axis = node.attributes.get_int("axis", 0);
  if (axis < 0) axis += static_cast<std::int64_t>(rank);
  const bool keep = node.attributes.get_int("keepdims", 1) != 0;
  if (!keep && !keeps_order({axis}, rank)) return false;
  graph.node(id).attributes.set("axis", last_axis(axis, rank));
  graph.set_input(id, 0, layouts.last(node.inputs[0]));
  if (keep) layouts.convert(node.outputs[0]);
  return true;
}

bool global_pool(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const std::size_t rank = graph.value(node.inputs[0]).shape.size();
  Axes axes(rank - 2);
  std::iota(axes.begin(), axes.end(), std::int64_t{1});
  const std::string_view op = node.op->name == "GlobalAveragePool" ? "ReduceMean" : "ReduceMax";
  const ValueId x = layouts.last(node.inputs[0]);
  become(graph, id, op, {x, int_constant(graph, node, "axes", axes)}, {});
  layouts.convert(node.outputs[0]);
  return true;
}

using Wants = LayoutRow::Wants;

constexpr LayoutRow kRows[] = {
    {"Concat", concat, Wants::all},
    {"Split", split, Wants::first},
    {"Slice", slice, Wants::first},
    {"Softmax", softmax, Wants::first},
    {"LogSoftmax", softmax, Wants::first},
    {"Pad", pad, Wants::first},
    {"Resize", resize, Wants::first},
    {"ReduceMean", reduce, Wants::first},
    {"ReduceSum", reduce, Wants::first},
    {"ReduceMax", reduce, Wants::first},
    {"ReduceMin", reduce, Wants::first},
    {"ReduceProd", reduce, Wants::first},
    {"ReduceL1", reduce, Wants::first},
    {"ReduceL2", reduce, Wants::first},
    {"ReduceSumSquare", reduce, Wants::first},
    {"ReduceLogSum", reduce, Wants::first},
    {"ReduceLogSumExp", reduce, Wants::first},
    {"ArgMax", arg, Wants::first},
    {"ArgMin", arg, Wants::first},
    {"GlobalAveragePool", global_pool, Wants::first},
    {"GlobalMaxPool", global_pool, Wants::first},
};

}  // namespace

std::span<const LayoutRow> axis_layout_rows() { return kRows; }

}  // namespace tenon::passes
