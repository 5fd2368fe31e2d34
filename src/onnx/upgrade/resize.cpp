// Upsample and the early forms of Resize and GridSample.
#include "onnx/upgrade.h"

namespace tenon::onnx {
namespace {

void take_old_coordinates(OldNode& node) {
  node.attributes.set("coordinate_transformation_mode", std::string("asymmetric"));
  node.attributes.set("nearest_mode", std::string("floor"));
}

}  // namespace

void upgrade_upsample(OldNode& node) {
  graph::ValueId scales = graph::kNoValue;
  if (node.attributes.has("scales")) {
    const auto values = node.attributes.get_floats("scales");
    node.attributes.erase("scales");
    scales = node.graph().add_constant(
        node.name + "/scales",
        Tensor::from_floats({static_cast<std::int64_t>(values.size())}, values));
  } else {
    scales = node.input(1);
  }
  node.op = "Resize";
  node.inputs = {node.input(0), graph::kNoValue, scales};
  take_old_coordinates(node);
}

void upgrade_resize_10(OldNode& node) {
  node.inputs = {node.input(0), graph::kNoValue, node.input(1)};
  take_old_coordinates(node);
}

// Empty constants stood for inputs that are left out, and the region is read by one mode alone.
void upgrade_resize(OldNode& node) {
  const auto mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel");
  if (mode == "tf_half_pixel_for_nn") bad_input("Resize with {} is not supported", mode);
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    if (!node.has_input(i)) continue;
    if (element_count(node.value(i).shape) == Dim(0)) node.inputs[i] = graph::kNoValue;
  }
  if (node.inputs.size() > 1 && mode != "tf_crop_and_resize") node.inputs[1] = graph::kNoValue;
}

void upgrade_grid_sample(OldNode& node) {
  const std::string mode = node.attributes.get_string("mode", "bilinear");
  node.attributes.set("mode", mode == "bilinear"  ? std::string("linear")
                              : mode == "bicubic" ? std::string("cubic")
                                                  : mode);
}

}  // namespace tenon::onnx
