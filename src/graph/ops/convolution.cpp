// Operators with windows over the spatial axes of [N, C, spatial...]: convolutions.
#include "graph/ops/common.h"
#include "graph/ops/ops.h"
#include "graph/ops/windows.h"

namespace tenon::graph::ops {
namespace {

std::int64_t group_of(const InferenceContext& context) {
  const std::int64_t group = context.attributes().get_int("group", 1);
  if (group < 1 || group > (std::int64_t{1} << 31))
    bad_input("attribute group is {}, expected a positive number", group);
  return group;
}

// The weight's axes from 2 on, after checks of ranks and types.
DimShape kernel_sizes(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  require_min_rank(context, 0, 3);
  require_same_type(context, 0, 1);
  require_rank(context, 1, x.shape.size());
  const DimShape& weight = context.input(1).shape;
  return {weight.begin() + 2, weight.end()};
}

void check_bias(InferenceContext& context, const Dim& channels) {
  if (!context.has_input(2)) return;
  require_same_type(context, 0, 2);
  require_vector(context, 2, channels);
}

// Weight [M, C / group, kernel...].
void infer_conv(InferenceContext& context) {
  const std::int64_t group = group_of(context);
  const Windows windows = windows_of(context, kernel_sizes(context));
  const Value& x = context.input(0);
  const DimShape& weight = context.input(1).shape;
  with_context("channels of the input and of the weight times group",
               [&] { context.require_equal(x.shape[1], weight[1] * Dim(group)); });
  const Dim& channels = weight[0];
  if (channels.constant().value_or(0) % group != 0)
    bad_input("{} output channels do not divide into {} groups", channels.to_string(), group);
  check_bias(context, channels);
  DimShape shape = {x.shape[0], channels};
  for (Dim& size : slid_sizes(context, windows, false)) shape.push_back(std::move(size));
  context.set_output(0, x.dtype, std::move(shape));
}

const OpSchema kOps[] = {
    {"Conv",
     22,
     2,
     3,
     1,
     1,
     {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
     infer_conv},
};

}  // namespace

std::span<const OpSchema> convolution_ops() { return kOps; }

}  // namespace tenon::graph::ops
