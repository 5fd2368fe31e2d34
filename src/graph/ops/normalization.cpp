// Operators that shift and scale by statistics.
#include "graph/ops/common.h"
#include "graph/ops/ops.h"

namespace tenon::graph::ops {
namespace {

std::size_t first_axis(const InferenceContext& context) {
  return InferenceContext::axis(context.attributes().get_int("axis", -1),
                                context.input(0).shape.size());
}

// Scale and bias broadcast to the shape of X.
void check_affine(InferenceContext& context, std::size_t index) {
  const Value& value = float_input(context, index);
  with_context(value.name,
               [&] { require_broadcast_to(context, value.shape, context.input(0).shape); });
}

void infer_layer(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  const std::size_t axis = first_axis(context);
  check_affine(context, 1);
  if (context.has_input(2)) check_affine(context, 2);
  infer_like_input(context);
  DimShape statistics = x.shape;
  std::fill(statistics.begin() + static_cast<std::ptrdiff_t>(axis), statistics.end(), Dim(1));
  const DType stash = dtype_from_onnx(context.attributes().get_int("stash_type", 1));
  for (std::size_t i = 1; i < context.output_count(); ++i) context.set_output(i, stash, statistics);
}

void infer_rms(InferenceContext& context) {
  float_input(context, 0);
  first_axis(context);
  check_affine(context, 1);
  infer_like_input(context);
}

// X is [N, C, ...]; each of the inputs from `first` on has one element a channel.
void infer_channels(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  require_min_rank(context, 0, 2);
  for (std::size_t i = 1; i < context.input_count(); ++i) {
    float_input(context, i);
    require_vector(context, i, x.shape[1]);
  }
  infer_like_input(context);
}

void infer_group(InferenceContext& context) {
  infer_channels(context);
  const std::int64_t groups = context.attributes().get_int("num_groups", 0);
  if (groups <= 0) bad_input("num_groups is {}, expected a positive number", groups);
  const Dim& channels = context.input(0).shape[1];
  if (channels.constant().value_or(0) % groups != 0)
    bad_input("{} channels do not divide into {} groups", channels.to_string(), groups);
}

void infer_batch(InferenceContext& context) {
  if (context.attributes().get_int("training_mode", 0) != 0)
    bad_input("training_mode = 1 is not supported");
  infer_channels(context);
}

const OpSchema kOps[] = {
    {"LayerNormalization", 17, 2, 3, 1, 3, {"axis", "epsilon", "stash_type"}, infer_layer},
    {"RMSNormalization", 23, 2, 2, 1, 1, {"axis", "epsilon", "stash_type"}, infer_rms},
    {"GroupNormalization", 21, 3, 3, 1, 1, {"epsilon", "num_groups", "stash_type"}, infer_group},
    {"InstanceNormalization", 22, 3, 3, 1, 1, {"epsilon"}, infer_channels},
    {"BatchNormalization", 15, 5, 5, 1, 1, {"epsilon", "momentum", "training_mode"}, infer_batch},
};

}  // namespace

std::span<const OpSchema> normalization_ops() { return kOps; }

}  // namespace tenon::graph::ops
