// Operators that are others by now, and ConstantOfShape, whose value the graph keeps as a number.
#include "onnx/upgrade.h"

namespace tenon::onnx {

void upgrade_scatter(OldNode& node) { node.op = "ScatterElements"; }

void upgrade_mean(OldNode& node) {
  const DType type = node.value(0).dtype;
  const auto count = static_cast<double>(node.inputs.size());
  const graph::ValueId sum = node.add("Sum", node.inputs);
  node.op = "Div";
  node.inputs = {sum, node.scalar("count", type, count)};
}

void upgrade_constant_of_shape(OldNode& node) {
  const auto given = node.tensors.find("value");
  if (given == node.tensors.end()) return;
  const TensorSource& source = *given->second;
  if (element_count(source.shape()) != 1) {
    bad_input("attribute value has shape {}, one element was expected",
              tenon::to_string(std::span(source.shape())));
  }
  const DType type = source.dtype();
  node.attributes.set("dtype", onnx_type(type));
  const Tensor wide = converted(source.load().view(), is_float(type) ? DType::f32 : DType::i64);
  if (is_float(type)) {
    node.attributes.set("value", wide.as<float>()[0]);
  } else {
    node.attributes.set("value", wide.as<std::int64_t>()[0]);
  }
  node.tensors.erase(given);
}

}  // namespace tenon::onnx
