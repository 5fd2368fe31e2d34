// RMSNormalization and GroupNormalization out of reductions and arithmetic.
#include "base/error.h"
#include "onnx/lowering.h"

namespace tenon::onnx {
namespace {

// The type of the statistics: float is what stash_type asks for by default, and no 16-bit type that
// it may name is better.
DType stash_type(DType own) { return own == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace

// y = cast(x / sqrt(mean(x^2) + epsilon)) * scale
void lower_rms_normalization(NodeEmitter& emitter) {
  const DType own = emitter.input_value(0).dtype;
  const DType wide = stash_type(own);
  const auto rank = static_cast<std::int64_t>(emitter.input_value(0).shape.size());
  std::int64_t axis = emitter.attributes().get_int("axis", -1);
  if (axis < 0) axis += rank;
  std::vector<std::int64_t> axes;
  for (; axis < rank; ++axis) axes.push_back(axis - rank);
  const std::string x = emitter.cast(emitter.input(0), own, wide);
  const std::string square = emitter.add("Mul", {x, x});
  const std::string mean = emitter.reduce("ReduceMean", square, axes);
  const std::string safe = emitter.add(
      "Add", {mean, emitter.scalar(wide, emitter.attributes().get_float("epsilon", 1e-5F))});
  const std::string normal = emitter.add("Div", {x, emitter.add("Sqrt", {safe})});
  emitter.finish("Mul", {emitter.cast(normal, wide, own), emitter.input(1)});
}

// A group of channels is one channel of an InstanceNormalization over [N, groups, rest], which
// runtimes know as a fused kernel; scale and bias are per channel and follow.
void lower_group_normalization(NodeEmitter& emitter) {
  const graph::Value& input = emitter.input_value(0);
  const DType wide = stash_type(input.dtype);
  const std::int64_t groups = emitter.attributes().get_int("num_groups", 1);
  const auto spatial = static_cast<std::int64_t>(input.shape.size()) - 2;
  const auto ones = [&](double value) {
    Tensor tensor(DType::f32, {groups});
    for (float& item : tensor.as<float>()) item = static_cast<float>(value);
    return emitter.tensor(converted(tensor.view(), wide));
  };
  const std::string x = emitter.cast(emitter.input(0), input.dtype, wide);
  const std::string grouped = emitter.add("Reshape", {x, emitter.ints({0, groups, -1})});
  const std::string normal =
      emitter.add("InstanceNormalization", {grouped, ones(1), ones(0)},
                  {{"epsilon", emitter.attributes().get_float("epsilon", 1e-5F)}});
  const std::string shaped =
      emitter.cast(emitter.add("Reshape", {normal, emitter.shape_of(0)}), wide, input.dtype);
  std::vector<std::int64_t> per_channel = {-1};
  for (std::int64_t i = 0; i < spatial; ++i) per_channel.push_back(1);
  const std::string target = emitter.ints(per_channel);
  const std::string scaled =
      emitter.add("Mul", {shaped, emitter.add("Reshape", {emitter.input(1), target})});
  emitter.finish("Add", {scaled, emitter.add("Reshape", {emitter.input(2), target})});
}

}  // namespace tenon::onnx
