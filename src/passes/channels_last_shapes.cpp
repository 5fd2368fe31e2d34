// Ops that only move or name elements, channels last: most of them vanish or cost nothing.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "graph/op_schema.h"
#include "passes/channels_last_rules.h"

namespace tenon::passes {
namespace {

using Axes = std::vector<std::int64_t>;

bool is_identity(const Axes& order) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

bool transpose(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const ValueId input = node.inputs[0];
  const ValueId output = node.outputs[0];
  const std::size_t rank = graph.value(input).shape.size();
  if (rank < 3) return false;
  Axes order(rank);
  std::iota(order.rbegin(), order.rend(), std::int64_t{0});
  order = node.attributes.get_ints("perm", order);
  for (std::int64_t& axis : order) axis += axis < 0 ? static_cast<std::int64_t>(rank) : 0;
  if (!layouts.has_last(input)) {
    if (order == first_order(rank)) layouts.note_pair(output, input);
    return false;
  }
  const ValueId source = layouts.last(input);
  for (std::int64_t& axis : order) axis = last_axis(axis, rank);
  if (!moves_nothing(graph.value(source).shape, order)) {
    graph.set_input(id, 0, source);
    graph.node(id).attributes.set("perm", order);
    return true;
  }
  // A value of its own all the same: of it, the channels-last order is the order of the source.
  const ValueId same = is_identity(order) ? source : reordered(graph, source, order, node.name);
  become(graph, id, "Identity", {same}, {});
  return true;
}

// The shape that the source model computes, in the other order; kNoValue where it copies sizes of
// the input by their place.
ValueId ordered_shape(Graph& graph, const Node& node, std::size_t rank) {
  if (node.op->name != "Reshape") return kNoValue;
  const auto& content = graph.value(node.inputs[1]).content;
  if (!content || content->size() != rank) return kNoValue;
  for (std::size_t i = 1; i < rank; ++i) {
    if ((*content)[i] == Dim(0)) return kNoValue;
  }
  const Axes order = last_order(rank);
  const ValueId indices = graph.add_constant(
      node.name + ".indices", Tensor::from_ints({static_cast<std::int64_t>(rank)}, order));
  return graph.add("Gather", node.name + ".order", {node.inputs[1], indices}, {}, node.module);
}

// Reshape and its like: images and channels stay, or nothing but channels is there.
bool reshape(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const DimShape from = layouts.first_shape(node.inputs[0]);
  const DimShape to = graph.value(node.outputs[0]).shape;
  if (from.size() < 3) return false;
  const bool keeps = to.size() >= 3 && to[0] == from[0] && to[1] == from[1];
  if (!keeps && !moves_nothing(from, last_order(from.size()))) return false;
  const ValueId source = layouts.last(node.inputs[0]);
  const DimShape target = keeps ? permuted(to, last_order(to.size())) : to;
  ValueId shape = shape_for_reshape(graph, graph.value(source).shape, target, node.name);
  if (shape == kNoValue && keeps) shape = ordered_shape(graph, node, to.size());
  if (shape == kNoValue) return false;
  become(graph, id, "Reshape", {source, shape}, {});
  if (keeps) layouts.convert(node.outputs[0]);
  return true;
}

// The sizes in the order of the source model.
bool shape(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  if (!layouts.is_converted(node.inputs[0])) return false;
  const auto rank = static_cast<std::int64_t>(graph.value(node.inputs[0]).shape.size());
  const auto bound = [&](std::string_view name, std::int64_t fallback) {
    const std::int64_t given = node.attributes.get_int(name, fallback);
    return std::clamp<std::int64_t>(given < 0 ? given + rank : given, 0, rank);
  };
  Axes places;
  for (std::int64_t axis = bound("start", 0); axis < bound("end", rank); ++axis)
    places.push_back(last_axis(axis, static_cast<std::size_t>(rank)));
  const ValueId sizes = graph.add("Shape", node.name + ".last", {node.inputs[0]}, {}, node.module);
  const ValueId indices = graph.add_constant(
      node.name + ".axes", Tensor::from_ints({static_cast<std::int64_t>(places.size())}, places));
  become(graph, id, "Gather", {sizes, indices}, {});
  return true;
}

bool size(Graph&, Layouts&, NodeId) { return true; }

using Wants = LayoutRow::Wants;

constexpr LayoutRow kRows[] = {
    {"Transpose", transpose, Wants::none}, {"Reshape", reshape, Wants::first},
    {"Flatten", reshape, Wants::first},    {"Squeeze", reshape, Wants::first},
    {"Unsqueeze", reshape, Wants::first},  {"Shape", shape, Wants::none},
    {"Size", size, Wants::none},
};

}  // namespace

std::span<const LayoutRow> shape_layout_rows() { return kRows; }

const LayoutRow* find_layout_row(std::string_view op) {
  for (const auto rows :
       {element_layout_rows(), axis_layout_rows(), shape_layout_rows(), norm_layout_rows()}) {
    for (const LayoutRow& row : rows) {
      if (row.op == op) return &row;
    }
  }
  return nullptr;
}

void become(Graph& graph, NodeId id, std::string_view op, std::vector<ValueId> inputs,
            Attributes attributes) {
  Node& node = graph.node(id);
  node.op = &graph::find_op(op);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
}

}  // namespace tenon::passes
