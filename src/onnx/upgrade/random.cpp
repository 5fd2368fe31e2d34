// Operators that draw noise. A run of a graph is a function of its inputs here, so their mean
// stands for what they draw: an encoder that samples its latents gives the mean of them.
#include "base/log.h"
#include "graph/op_schema.h"
#include "onnx/upgrade.h"

namespace tenon::onnx {
namespace {

void become_mean(OldNode& node, DType type, graph::ValueId shape) {
  const double mean = static_cast<double>(node.attributes.get_float("mean", 0.0F));
  log::warn("node {}: {} draws noise; its mean, {}, stands for it", node.name, node.op, mean);
  const graph::ValueId value = node.scalar("mean", type, mean);
  node.op = "Expand";
  node.inputs = {value, shape};
  node.attributes = {};
}

// The element type of an attribute `dtype`, else that which is given.
DType type_of(const OldNode& node, DType otherwise) {
  return node.attributes.has("dtype") ? graph::dtype_from_onnx(node.attributes.get_int("dtype", 0))
                                      : otherwise;
}

}  // namespace

void upgrade_random_normal(OldNode& node) {
  const std::vector<std::int64_t> shape = node.attributes.get_ints("shape");
  become_mean(node, type_of(node, DType::f32), node.ints("shape", shape));
}

void upgrade_random_normal_like(OldNode& node) {
  const DType type = type_of(node, node.value(0).dtype);
  become_mean(node, type, node.add("Shape", {node.input(0)}));
}

}  // namespace tenon::onnx
