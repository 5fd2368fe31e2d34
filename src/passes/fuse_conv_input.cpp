// tenon.Conv takes the work before it into the reading of its input: padding, the scale and shift
// of a normalisation with its SiLU, nearest upsampling by two, the joining of two inputs.
#include <algorithm>

#include "base/error.h"
#include "graph/op_schema.h"
#include "passes/conv_inputs.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

bool is_plain_input(const Graph& graph, NodeId reader, ValueId value) {
  const Node& node = graph.node(reader);
  return node.op->name == "tenon.Conv" &&
         std::count(node.inputs.begin(), node.inputs.end(), value) == 1 &&
         node.inputs[conv::kX] == value && !conv::has(node, conv::kX2);
}

// All readers are convolutions that read it as x alone, and there are some.
bool feeds_convolutions(const Graph& graph, const std::vector<NodeId>& readers, ValueId value) {
  return !readers.empty() && !graph.is_output(value) &&
         std::all_of(readers.begin(), readers.end(),
                     [&](NodeId id) { return is_plain_input(graph, id, value); });
}

bool has_prologue(const Node& node) {
  return conv::has(node, conv::kScaleShift) ||
         !node.attributes.get_string("input_activation", "").empty();
}

// Swish(ScaleShift(x)) and its like -> ScaleShift with the activation.
bool join_activation(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const std::string activation = activation_name(node);
  if (activation.empty()) return false;
  const Node* scale = graph.producer_of(node.inputs[0], "tenon.ScaleShift");
  if (scale == nullptr || !scale->attributes.get_string("activation", "").empty()) return false;
  if (graph.is_output(node.inputs[0]) || graph.readers(node.inputs[0]).size() != 1) return false;
  const NodeId producer = graph.value(node.inputs[0]).producer;
  graph.node(producer).attributes.set("activation", activation);
  graph.remove_node(id);
  graph.replace_value(node.outputs[0], node.inputs[0]);
  return true;
}

// Pads of zeros around the spatial axes of a channels-last picture: top, left, bottom, right.
std::optional<std::vector<std::int64_t>> zero_pads(const Graph& graph, const Node& node) {
  if (node.op->name != "Pad" || node.attributes.get_string("mode", "constant") != "constant")
    return std::nullopt;
  if (node.inputs.size() > 2 && node.inputs[2] != kNoValue && scalar(graph, node.inputs[2]) != 0.0)
    return std::nullopt;
  const auto rank = static_cast<std::int64_t>(graph.value(node.inputs[0]).shape.size());
  const auto given = integers(graph, node.inputs[1]);
  std::vector<std::int64_t> axes = {0, 1, 2, 3};
  if (node.inputs.size() > 3 && node.inputs[3] != kNoValue)
    axes = integers(graph, node.inputs[3]).value_or(std::vector<std::int64_t>{});
  if (!given || rank != 4 || given->size() != 2 * axes.size()) return std::nullopt;
  std::vector<std::int64_t> begins(4, 0);
  std::vector<std::int64_t> ends(4, 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(axes[i] < 0 ? axes[i] + rank : axes[i]);
    begins.at(axis) = (*given)[i];
    ends.at(axis) = (*given)[i + axes.size()];
  }
  const bool inside = begins[0] == 0 && ends[0] == 0 && begins[3] == 0 && ends[3] == 0;
  const bool grows = std::min({begins[1], begins[2], ends[1], ends[2]}) >= 0;
  if (!inside || !grows) return std::nullopt;
  return std::vector<std::int64_t>{begins[1], begins[2], ends[1], ends[2]};
}

bool absorb_pad(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const auto pads = zero_pads(graph, node);
  if (!pads) return false;
  const auto readers = graph.readers(node.outputs[0]);
  if (!feeds_convolutions(graph, readers, node.outputs[0])) return false;
  // The order is: scale and activation, upsampling, padding. What a reader does already would come
  // before the padding then.
  for (const NodeId reader : readers) {
    if (has_prologue(graph.node(reader)) ||
        graph.node(reader).attributes.get_int("upsample", 1) != 1)
      return false;
  }
  for (const NodeId reader : readers) {
    auto sum = graph.node(reader).attributes.get_ints("pads", {0, 0, 0, 0});
    for (std::size_t i = 0; i < 4; ++i) sum[i] += (*pads)[i];
    graph.node(reader).attributes.set("pads", sum);
    graph.set_input(reader, conv::kX, node.inputs[0]);
  }
  return true;
}

// Each pixel twice in both directions: what formula of coordinates and rounding says so.
bool is_doubling(const Graph& graph, const Node& node) {
  if (node.op->name != "Resize" || node.attributes.get_string("mode", "nearest") != "nearest")
    return false;
  const DimShape& from = graph.value(node.inputs[0]).shape;
  const DimShape& to = graph.value(node.outputs[0]).shape;
  if (from.size() != 4 || to[0] != from[0] || to[3] != from[3]) return false;
  if (to[1] != from[1] * Dim(2) || to[2] != from[2] * Dim(2)) return false;
  const std::string coordinates =
      node.attributes.get_string("coordinate_transformation_mode", "half_pixel");
  const std::string rounding = node.attributes.get_string("nearest_mode", "round_prefer_floor");
  // Output i reads i / 2, rounded down, or i / 2 - 1/4, rounded to nearest, where no tie occurs.
  if (coordinates == "asymmetric") return rounding == "floor" || rounding == "round_prefer_floor";
  return (coordinates == "half_pixel" || coordinates == "pytorch_half_pixel" ||
          coordinates == "half_pixel_symmetric") &&
         (rounding == "round_prefer_floor" || rounding == "round_prefer_ceil");
}

bool absorb_upsampling(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (!is_doubling(graph, node)) return false;
  const auto readers = graph.readers(node.outputs[0]);
  if (!feeds_convolutions(graph, readers, node.outputs[0])) return false;
  for (const NodeId reader : readers) {
    if (graph.node(reader).attributes.get_int("upsample", 1) != 1) return false;
  }
  for (const NodeId reader : readers) {
    graph.node(reader).attributes.set("upsample", std::int64_t{2});
    graph.set_input(reader, conv::kX, node.inputs[0]);
  }
  return true;
}

bool absorb_scale(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op->name != "tenon.ScaleShift") return false;
  const std::string activation = node.attributes.get_string("activation", "");
  if (!activation.empty() && activation != "silu") return false;
  const auto readers = graph.readers(node.outputs[0]);
  if (!feeds_convolutions(graph, readers, node.outputs[0])) return false;
  if (graph.value(node.inputs[0]).shape.size() != 4) return false;
  for (const NodeId reader : readers) {
    if (has_prologue(graph.node(reader))) return false;
  }
  for (const NodeId reader : readers) {
    conv::set_input(graph, reader, conv::kScaleShift, node.inputs[1]);
    graph.set_input(reader, conv::kX, node.inputs[0]);
    if (!activation.empty()) graph.node(reader).attributes.set("input_activation", activation);
  }
  return true;
}

bool takes_two(const Graph& graph, NodeId reader, ValueId value) {
  const Node& node = graph.node(reader);
  if (std::count(node.inputs.begin(), node.inputs.end(), value) != 1 || node.inputs[0] != value)
    return false;
  if (node.op->name == "tenon.Conv")
    return !conv::has(node, conv::kX2) && node.attributes.get_int("group", 1) == 1;
  return node.op->name == "tenon.GroupScale" &&
         (node.inputs.size() < 4 || node.inputs[3] == kNoValue);
}

// The channels of two inputs one after the other, read where they lie.
bool absorb_concat(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op->name != "Concat" || node.inputs.size() != 2) return false;
  const ValueId joined = node.outputs[0];
  const auto rank = static_cast<std::int64_t>(graph.value(joined).shape.size());
  if (axis_of(graph, node, 0, joined) != rank - 1 || graph.is_output(joined)) return false;
  const auto readers = graph.readers(joined);
  if (readers.empty() || !std::all_of(readers.begin(), readers.end(), [&](NodeId reader) {
        return takes_two(graph, reader, joined);
      })) {
    return false;
  }
  for (const ValueId input : node.inputs) {
    if (!graph.value(input).shape.back().constant()) return false;
  }
  for (const NodeId reader : readers) {
    const bool is_conv = graph.node(reader).op->name == "tenon.Conv";
    graph.set_input(reader, 0, node.inputs[0]);
    conv::set_input(graph, reader, is_conv ? conv::kX2 : std::size_t{3}, node.inputs[1]);
  }
  return true;
}

// What lies nearest to the convolution first.
int absorb_all(Graph& graph, bool (*absorb)(Graph&, NodeId)) {
  auto order = graph.order();
  std::reverse(order.begin(), order.end());
  int done = 0;
  for (const NodeId id : order) {
    if (!graph.node(id).removed && absorb(graph, id)) ++done;
  }
  graph.tidy();
  return done;
}

}  // namespace

int fuse_conv_input(Graph& graph, const PassContext&) {
  int done = 0;
  for (const auto absorb :
       {join_activation, absorb_pad, absorb_upsampling, absorb_scale, absorb_concat})
    done += absorb_all(graph, absorb);
  graph.infer_again();
  return done;
}

}  // namespace tenon::passes
