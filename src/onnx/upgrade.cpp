#include "onnx/upgrade.h"

#include <array>
#include <limits>

#include "graph/op_schema.h"

namespace tenon::onnx {
namespace {

constexpr int kAlways = std::numeric_limits<int>::max();
constexpr std::string_view kMicrosoft = "com.microsoft";

// Rules that change the operator stand after those of the operator that it becomes.
constexpr UpgradeRule kRules[] = {
    {"", "Squeeze", 13, upgrade_squeeze},
    {"", "Unsqueeze", 13, upgrade_squeeze},
    {"", "ReduceSum", 13, upgrade_reduce},
    {"", "ReduceMean", 18, upgrade_reduce},
    {"", "ReduceMax", 18, upgrade_reduce},
    {"", "ReduceMin", 18, upgrade_reduce},
    {"", "ReduceProd", 18, upgrade_reduce},
    {"", "ReduceL1", 18, upgrade_reduce},
    {"", "ReduceL2", 18, upgrade_reduce},
    {"", "ReduceLogSum", 18, upgrade_reduce},
    {"", "ReduceLogSumExp", 18, upgrade_reduce},
    {"", "ReduceSumSquare", 18, upgrade_reduce},
    {"", "Split", 13, upgrade_split_sizes},
    {"", "Split", 18, upgrade_split_count},
    {"", "Clip", 11, upgrade_clip},
    {"", "Pad", 11, upgrade_pad},
    {"", "Pad", kAlways, upgrade_computed_pads},
    {"", "Slice", 10, upgrade_slice},
    {"", "TopK", 10, upgrade_top_k},
    {"", "Softmax", 13, upgrade_softmax},
    {"", "LogSoftmax", 13, upgrade_softmax},
    {"", "Dropout", kAlways, upgrade_dropout},
    {"", "BatchNormalization", kAlways, upgrade_batch_normalization},
    {"", "GroupNormalization", 21, upgrade_group_normalization},
    {"", "MeanVarianceNormalization", kAlways, upgrade_mean_variance_normalization},
    {"", "LpNormalization", kAlways, upgrade_lp_normalization},
    {"", "Resize", 11, upgrade_resize_10},
    {"", "Resize", kAlways, upgrade_resize},
    {"", "Upsample", 10, upgrade_upsample},
    {"", "GridSample", 20, upgrade_grid_sample},
    {"", "Scatter", 11, upgrade_scatter},
    {"", "Mean", kAlways, upgrade_mean},
    {"", "ConstantOfShape", kAlways, upgrade_constant_of_shape},
    {"", "RandomNormal", kAlways, upgrade_random_normal},
    {"", "RandomNormalLike", kAlways, upgrade_random_normal_like},
    {"", "SimplifiedLayerNormalization", kAlways, upgrade_simplified_layer_normalization},
    {kMicrosoft, "SimplifiedLayerNormalization", kAlways, upgrade_simplified_layer_normalization},
    {kMicrosoft, "SkipSimplifiedLayerNormalization", kAlways, upgrade_skip_layer_normalization},
    {kMicrosoft, "SkipLayerNormalization", kAlways, upgrade_skip_layer_normalization},
    {kMicrosoft, "BiasGelu", kAlways, upgrade_bias_gelu},
    {kMicrosoft, "FastGelu", kAlways, upgrade_fast_gelu},
    {kMicrosoft, "QuickGelu", kAlways, upgrade_quick_gelu},
    {kMicrosoft, "Gelu", kAlways, upgrade_standard_name},
    {kMicrosoft, "FusedMatMul", kAlways, upgrade_fused_matmul},
    {kMicrosoft, "RotaryEmbedding", kAlways, upgrade_rotary_embedding},
    {kMicrosoft, "GroupQueryAttention", kAlways, upgrade_group_query_attention},
    {kMicrosoft, "MatMulNBits", kAlways, upgrade_matmul_nbits},
    {"", "Mul", kAlways, upgrade_scaled_product},
    {"", "MatMulInteger", kAlways, upgrade_matmul_integer},
    {"", "DynamicQuantizeLinear", kAlways, upgrade_dynamic_quantize_linear},
    {"", "DequantizeLinear", kAlways, upgrade_dequantize_linear},
    {"", "QuantizeLinear", kAlways, upgrade_quantize_linear},
};

}  // namespace

void upgrade(OldNode& node) {
  for (const UpgradeRule& rule : kRules) {
    if (rule.op == node.op && rule.domain == node.domain && node.opset < rule.before) {
      rule.apply(node);
    }
  }
  if (!node.domain.empty()) bad_input("operator {} of {} is not supported", node.op, node.domain);
}

graph::ValueId OldNode::input(std::size_t index) const {
  if (!has_input(index)) bad_input("input {} is missing", index);
  return inputs[index];
}

void OldNode::set_input(std::size_t index, graph::ValueId value) {
  if (inputs.size() <= index) inputs.resize(index + 1, graph::kNoValue);
  inputs[index] = value;
}

bool OldNode::needs_output(std::size_t index) const {
  return index < outputs.size() && !outputs[index].empty() && names_.read.contains(outputs[index]);
}

std::string OldNode::unused(std::string_view part) {
  const std::string wanted = fmt::format("{}/{}", name, part);
  std::string free = wanted;
  for (int suffix = 1; names_.written.contains(free) || graph_.find_value(free); ++suffix) {
    free = fmt::format("{}_{}", wanted, suffix);
  }
  return free;
}

graph::ValueId OldNode::add(std::string_view op_name, std::vector<graph::ValueId> values,
                            Attributes node_attributes, std::string_view output) {
  graph::Node made;
  made.name = fmt::format("{}/{}", name, op_name);
  made.module = module;
  made.op = &graph::find_op(op_name);
  made.inputs = std::move(values);
  made.attributes = std::move(node_attributes);
  const std::array names = {output.empty() ? unused(fmt::format("{}_output", op_name))
                                           : std::string(output)};
  return graph_.node(graph_.add_node(std::move(made), names)).outputs[0];
}

graph::ValueId OldNode::ints(std::string_view what, std::span<const std::int64_t> values) {
  return graph_.add_constant(unused(what),
                             Tensor::from_ints({static_cast<std::int64_t>(values.size())}, values));
}

graph::ValueId OldNode::scalar(std::string_view what, DType type, double number) {
  Tensor wide(DType::f64, {});
  wide.as<double>()[0] = number;
  return graph_.add_constant(unused(what), converted(wide.view(), type));
}

void OldNode::attribute_to_input(std::string_view attribute, std::size_t index) {
  if (!attributes.has(attribute)) return;
  if (has_input(index)) bad_input("{} is given as an attribute and as an input", attribute);
  set_input(index, ints(attribute, attributes.get_ints(attribute)));
  attributes.erase(attribute);
}

void OldNode::drop_int(std::string_view attribute, std::int64_t expected) {
  const std::int64_t found = attributes.get_int(attribute, expected);
  if (found != expected) {
    bad_input("attribute {} = {} is not supported, {} was expected", attribute, found, expected);
  }
  attributes.erase(attribute);
}

}  // namespace tenon::onnx
