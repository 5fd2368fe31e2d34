// Resize and GridSample in the forms of their first opsets.
#include "base/error.h"
#include "graph/op_schema.h"
#include "onnx/lowering.h"

namespace tenon::onnx {
namespace {

// Scales or sizes of some axes, spread over all of them.
std::string all_scales(NodeEmitter& emitter, const std::vector<std::int64_t>& axes) {
  const graph::Value& value = emitter.input_value(2);
  if (value.constant == nullptr) bad_input("the scales of some axes must be constant in opset 17");
  const Tensor given = converted(value.constant->load().view(), DType::f32);
  const std::size_t rank = emitter.input_value(0).shape.size();
  std::vector<float> scales(rank, 1.0F);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    scales[graph::InferenceContext::axis(axes[i], rank)] = given.as<float>()[i];
  }
  return emitter.tensor(Tensor::from_floats({static_cast<std::int64_t>(rank)}, scales));
}

std::string all_sizes(NodeEmitter& emitter, const std::vector<std::int64_t>& axes) {
  const auto given = emitter.fixed_ints(3);
  const auto shape = constant_shape(emitter.input_value(0).shape);
  if (!shape) bad_input("the sizes of some axes need a fixed input shape in opset 17");
  std::vector<std::int64_t> sizes = *shape;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    sizes[graph::InferenceContext::axis(axes[i], sizes.size())] = given.at(i);
  }
  return emitter.ints(sizes);
}

}  // namespace

void lower_resize(NodeEmitter& emitter) {
  Attributes attributes = attributes_for_opset(emitter);
  const auto mode = attributes.get_string("coordinate_transformation_mode", "half_pixel");
  if (mode == "half_pixel_symmetric") {
    bad_input("Resize with {} came with opset 19, not {}", mode, emitter.opset());
  }
  const auto axes = attributes.get_ints("axes");
  attributes.erase("axes");
  std::vector<std::string> inputs = emitter.inputs();
  if (!axes.empty()) {
    if (emitter.has_input(1)) bad_input("Resize of some axes with a region came with opset 18");
    if (emitter.has_input(2)) inputs[2] = all_scales(emitter, axes);
    if (emitter.has_input(3)) inputs[3] = all_sizes(emitter, axes);
  }
  emitter.finish("Resize", inputs, attributes);
}

void lower_grid_sample(NodeEmitter& emitter) {
  Attributes attributes = emitter.attributes();
  const std::string mode = attributes.get_string("mode", "linear");
  if (emitter.input_value(0).shape.size() != 4)
    bad_input("GridSample of volumes came with opset 20");
  attributes.set("mode", mode == "linear"  ? std::string("bilinear")
                         : mode == "cubic" ? std::string("bicubic")
                                           : mode);
  emitter.finish("GridSample", emitter.inputs(), attributes);
}

}  // namespace tenon::onnx
