// Reductions, Split and Pad in the forms before opset 18; ConstantOfShape.
#include "base/error.h"
#include "graph/op_schema.h"
#include "onnx/lowering.h"

namespace tenon::onnx {

// The axes were an attribute; no axes always meant all of them.
void lower_reduce(NodeEmitter& emitter) {
  Attributes attributes = emitter.attributes();
  const bool keep_all = attributes.get_int("noop_with_empty_axes", 0) != 0;
  attributes.erase("noop_with_empty_axes");
  std::vector<std::int64_t> axes;
  if (emitter.has_input(1)) axes = emitter.fixed_ints(1);
  if (axes.empty() && keep_all) return emitter.finish("Identity", {emitter.input(0)});
  if (!axes.empty()) attributes.set("axes", axes);
  emitter.finish(emitter.node().op->name, {emitter.input(0)}, attributes);
}

// Without sizes the number of outputs divided the axis evenly; uneven parts become sizes.
void lower_split(NodeEmitter& emitter) {
  Attributes attributes = emitter.attributes();
  attributes.erase("num_outputs");
  if (emitter.has_input(1)) return emitter.finish("Split", emitter.inputs(), attributes);
  const auto count = static_cast<std::int64_t>(emitter.node().outputs.size());
  if (emitter.opset() >= 18) {
    attributes.set("num_outputs", count);
    return emitter.finish("Split", {emitter.input(0)}, attributes);
  }
  const DimShape& shape = emitter.input_value(0).shape;
  const Dim& dim =
      shape[graph::InferenceContext::axis(attributes.get_int("axis", 0), shape.size())];
  if (dim.divided_by(Dim(count))) return emitter.finish("Split", {emitter.input(0)}, attributes);
  const auto number = dim.constant();
  if (!number) {
    bad_input(
        "Split of {} into {} parts that may be uneven came with opset 18, the file is to "
        "have opset {}",
        dim.to_string(), count, emitter.opset());
  }
  const std::int64_t part = (*number + count - 1) / count;
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(count), part);
  sizes.back() = *number - part * (count - 1);
  if (sizes.back() < 0)
    bad_input("Split of {} into {} parts leaves a negative part", *number, count);
  emitter.finish("Split", {emitter.input(0), emitter.ints(sizes)}, attributes);
}

// The graph keeps the value and its type apart, ONNX as a tensor of one element.
void lower_constant_of_shape(NodeEmitter& emitter) {
  const DType type = emitter.output_value(0).dtype;
  Tensor wide(is_float(type) ? DType::f32 : DType::i64, {1});
  if (is_float(type)) {
    wide.as<float>()[0] = emitter.attributes().get_float("value", 0.0F);
  } else {
    wide.as<std::int64_t>()[0] = emitter.attributes().get_int("value", 0);
  }
  emitter.finish("ConstantOfShape", {emitter.input(0)});
  emitter.set_tensor_attribute("value", converted(wide.view(), type));
}

// All axes had to be padded; those that the node leaves out get zeros.
void lower_pad(NodeEmitter& emitter) {
  const std::string mode = emitter.attributes().get_string("mode", "constant");
  if (mode == "wrap") bad_input("Pad with mode wrap came with opset 19, not {}", emitter.opset());
  std::vector<std::string> inputs = emitter.inputs();
  if (emitter.has_input(3)) {
    const auto axes = emitter.fixed_ints(3);
    const auto pads = emitter.fixed_ints(1);
    const std::size_t rank = emitter.input_value(0).shape.size();
    std::vector<std::int64_t> all(2 * rank, 0);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const std::size_t axis = graph::InferenceContext::axis(axes[i], rank);
      all[axis] = pads.at(i);
      all[rank + axis] = pads.at(axes.size() + i);
    }
    inputs[1] = emitter.ints(all);
  }
  if (inputs.size() > 3) inputs.resize(3);
  emitter.finish("Pad", inputs, emitter.attributes());
}

}  // namespace tenon::onnx
