// Dropout, BatchNormalization and GroupNormalization as inference means them.
#include "onnx/upgrade.h"

namespace tenon::onnx {
namespace {

bool has_output(const OldNode& node, std::size_t index) {
  return index < node.outputs.size() && !node.outputs[index].empty();
}

}  // namespace

void upgrade_dropout(OldNode& node) {
  if (node.has_input(2)) {
    const graph::Value& training = node.value(2);
    const bool off = training.constant != nullptr && training.shape.empty() &&
                     training.dtype == DType::boolean && !training.constant->load().as<bool>()[0];
    if (!off) bad_input("Dropout that may be training is not supported");
  }
  if (node.needs_output(1)) bad_input("the mask of Dropout is not supported");
  node.outputs.resize(1);
  node.op = "Identity";
  node.inputs = {node.input(0)};
  node.attributes = {};
}

void upgrade_batch_normalization(OldNode& node) {
  node.drop_int("training_mode", 0);
  node.attributes.erase("momentum");  // moves the statistics in training only
  // Before opset 14 it was the presence of these outputs that asked for training.
  for (std::size_t i = 1; i < 5; ++i) {
    if (has_output(node, i)) bad_input("BatchNormalization in training is not supported");
  }
  node.outputs.resize(1);
}

// Opset 18 had a scale and a bias for each group.
void upgrade_group_normalization(OldNode& node) {
  const std::int64_t groups = node.attributes.get_int("num_groups", 0);
  if (node.rank(0) < 2) bad_input("GroupNormalization of a tensor of rank {}", node.rank(0));
  const auto channels = node.value(0).shape[1].constant();
  if (!channels || groups <= 0 || *channels % groups != 0) {
    bad_input("{} groups do not divide {} channels", groups, node.value(0).shape[1].to_string());
  }
  for (const std::size_t index : {std::size_t{1}, std::size_t{2}}) {
    const graph::ValueId column =
        node.add("Reshape", {node.input(index), node.ints("column", {groups, 1})});
    const graph::ValueId spread =
        node.add("Expand", {column, node.ints("spread", {groups, *channels / groups})});
    node.set_input(index, node.add("Reshape", {spread, node.ints("channels", {*channels})}));
  }
}

// (x - mean) / (sqrt(mean of (x - mean)^2) + 1e-9), the function that the specification gives.
void upgrade_mean_variance_normalization(OldNode& node) {
  const DType type = node.value(0).dtype;
  const auto given = node.attributes.get_ints("axes", {0, 2, 3});
  const graph::ValueId axes = node.ints("axes", given);
  const graph::ValueId mean = node.add("ReduceMean", {node.input(0), axes});
  const graph::ValueId centred = node.add("Sub", {node.input(0), mean});
  const graph::ValueId square = node.add("Mul", {centred, centred});
  const graph::ValueId variance = node.add("ReduceMean", {square, axes});
  const graph::ValueId spread = node.add("Sqrt", {variance});
  node.inputs = {centred, node.add("Add", {spread, node.scalar("epsilon", type, 1e-9)})};
  node.op = "Div";
  node.attributes = {};
}

// x / norm along one axis; a norm of 0 leaves the zeros that it is of.
void upgrade_lp_normalization(OldNode& node) {
  const DType type = node.value(0).dtype;
  const std::int64_t power = node.attributes.get_int("p", 2);
  if (power != 1 && power != 2)
    bad_input("attribute p of LpNormalization is {}, 1 and 2 are supported", power);
  const graph::ValueId axis = node.ints("axis", {node.attributes.get_int("axis", -1)});
  const graph::ValueId norm = node.add(power == 1 ? "ReduceL1" : "ReduceL2", {node.input(0), axis});
  const double least = type == DType::f16 ? 0x1p-24 : 0x1p-126;  // that the type can hold
  node.inputs = {node.input(0), node.add("Max", {norm, node.scalar("least", type, least)})};
  node.op = "Div";
  node.attributes = {};
}

}  // namespace tenon::onnx
