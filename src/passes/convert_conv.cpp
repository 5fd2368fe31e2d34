// Conv over pictures with constant weights -> tenon.Conv.
#include <numeric>

#include "base/error.h"
#include "graph/op_schema.h"
#include "passes/channels_last_rules.h"

namespace tenon::passes {
namespace {

using Sizes = std::vector<std::int64_t>;

struct ConvForm {
  Sizes kernel, strides, dilations, pads;
  std::int64_t group;
};

// Padding of one axis so that ceil(size / stride) windows fit; nullopt when only a run can tell.
std::optional<std::int64_t> same_padding(const Dim& size, std::int64_t extent,
                                         std::int64_t stride) {
  if (stride == 1) return extent - 1;
  const auto known = size.constant();
  if (!known) return std::nullopt;
  const std::int64_t count = (*known + stride - 1) / stride;
  return std::max<std::int64_t>(0, (count - 1) * stride + extent - *known);
}

std::optional<Sizes> pads_of(const Node& node, const DimShape& shape, const ConvForm& form) {
  const std::string mode = node.attributes.get_string("auto_pad", "NOTSET");
  if (mode == "NOTSET") return node.attributes.get_ints("pads", Sizes(4, 0));
  if (mode == "VALID") return Sizes(4, 0);
  Sizes pads(4, 0);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t extent = form.dilations[i] * (form.kernel[i] - 1) + 1;
    const auto total = same_padding(shape[i + 2], extent, form.strides[i]);
    if (!total) return std::nullopt;
    const std::int64_t less = *total / 2;
    pads[i] = mode == "SAME_UPPER" ? less : *total - less;
    pads[i + 2] = *total - pads[i];
  }
  return pads;
}

std::optional<ConvForm> form_of(const Graph& graph, const Layouts& layouts, const Node& node) {
  if (node.op->name != "Conv" || !graph.is_constant(node.inputs[1])) return std::nullopt;
  const Shape& weight = graph.value(node.inputs[1]).constant->shape();
  if (weight.size() != 4 || graph.value(node.outputs[0]).dtype != DType::f32) return std::nullopt;
  const DimShape shape = layouts.first_shape(node.inputs[0]);
  ConvForm form;
  form.kernel = {weight[2], weight[3]};
  form.strides = node.attributes.get_ints("strides", {1, 1});
  form.dilations = node.attributes.get_ints("dilations", {1, 1});
  form.group = node.attributes.get_int("group", 1);
  const auto channels = shape[1].constant();
  const bool depthwise = weight[1] == 1 && channels && *channels == form.group;
  if (!channels || (form.group != 1 && !depthwise)) return std::nullopt;
  const auto pads = pads_of(node, shape, form);
  if (!pads) return std::nullopt;
  form.pads = *pads;
  return form;
}

// [M, C, kh, kw] read as [kh * kw * C, M].
SourcePtr rows_by_tap(const SourcePtr& weight) {
  const Shape& shape = weight->shape();
  const std::int64_t channels = shape[1];
  const std::int64_t taps = shape[2] * shape[3];
  const SourcePtr columns = transposed_source(reshaped_source(weight, {shape[0], channels * taps}));
  if (taps == 1 || channels == 1) return columns;
  Sizes order;
  order.reserve(static_cast<std::size_t>(channels * taps));
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    for (std::int64_t channel = 0; channel < channels; ++channel)
      order.push_back(channel * taps + tap);
  }
  return gathered_rows_source(columns, std::move(order));
}

}  // namespace

bool can_convert_conv(const Graph& graph, const Layouts& layouts, const Node& node) {
  return form_of(graph, layouts, node).has_value();
}

void convert_conv(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const ConvForm form = *form_of(graph, layouts, node);
  const graph::Value& weight = graph.value(node.inputs[1]);
  const ValueId rows =
      graph.add_constant(channels_last_name(weight.name), rows_by_tap(weight.constant));
  std::vector<ValueId> inputs = {layouts.last(node.inputs[0]), rows};
  if (node.inputs.size() > 2) inputs.push_back(layouts.first(node.inputs[2]));
  become(graph, id, "tenon.Conv", std::move(inputs),
         {{"kernel_shape", form.kernel},
          {"strides", form.strides},
          {"pads", form.pads},
          {"dilations", form.dilations},
          {"group", form.group}});
  layouts.convert(node.outputs[0]);
}

}  // namespace tenon::passes
