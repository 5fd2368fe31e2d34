// Attributes that became inputs: axes, sizes, bounds.
#include <limits>

#include "onnx/upgrade.h"
#include "onnx/upgrade/known_elements.h"

namespace tenon::onnx {

void upgrade_squeeze(OldNode& node) { node.attribute_to_input("axes", 1); }

void upgrade_reduce(OldNode& node) { node.attribute_to_input("axes", 1); }

void upgrade_split_sizes(OldNode& node) { node.attribute_to_input("split", 1); }

void upgrade_split_count(OldNode& node) {
  if (node.has_input(1)) return;
  const auto count = static_cast<std::int64_t>(node.outputs.size());
  node.attributes.set("num_outputs", count);
}

void upgrade_clip(OldNode& node) {
  const DType type = node.value(0).dtype;
  const float lowest = std::numeric_limits<float>::lowest();
  const float highest = std::numeric_limits<float>::max();
  const float low = node.attributes.get_float("min", lowest);
  const float high = node.attributes.get_float("max", highest);
  node.inputs.resize(1);
  if (low != lowest) node.set_input(1, node.scalar("min", type, low));
  if (high != highest) node.set_input(2, node.scalar("max", type, high));
  node.attributes.erase("min");
  node.attributes.erase("max");
}

void upgrade_pad(OldNode& node) {
  const float value = node.attributes.get_float("value", 0.0F);
  node.attribute_to_input("pads", 1);
  node.attributes.erase("value");
  if (value != 0.0F) node.set_input(2, node.scalar("value", node.value(0).dtype, value));
}

// torch.onnx writes pads as a matrix that is turned around, which is a constant all the same.
void upgrade_computed_pads(OldNode& node) {
  if (node.value(1).content) return;
  const auto known = known_elements(node.graph(), node.input(1));
  if (!known) return;
  if (const auto pads = constant_shape(known->elements))
    node.set_input(1, node.ints("pads", *pads));
}

void upgrade_slice(OldNode& node) {
  node.attribute_to_input("starts", 1);
  node.attribute_to_input("ends", 2);
  node.attribute_to_input("axes", 3);
}

void upgrade_top_k(OldNode& node) {
  if (node.has_input(1)) return;
  const std::int64_t count = node.attributes.get_int("k", 0);
  node.attributes.erase("k");
  node.set_input(1, node.ints("k", {count}));
}

}  // namespace tenon::onnx
