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

// Sizes: stride * (in - 1) + output_padding + extent - padding, in * stride when padded to the
// same, or as asked for.
DimShape transposed_sizes(InferenceContext& context, const Windows& windows) {
  const DimShape& x = context.input(0).shape;
  const auto asked = context.attributes().get_ints("output_shape");
  auto extra = context.attributes().get_ints("output_padding");
  if (extra.empty()) extra.assign(windows.rank, 0);
  if (extra.size() != windows.rank || (!asked.empty() && asked.size() != windows.rank)) {
    bad_input("output_padding and output_shape have {} and {} numbers, expected {}", extra.size(),
              asked.size(), windows.rank);
  }
  DimShape sizes;
  for (std::size_t i = 0; i < windows.rank; ++i) {
    const Dim stride(windows.strides[i]);
    if (extra[i] < 0 || extra[i] > (std::int64_t{1} << 31))
      bad_input("output_padding holds {}", extra[i]);
    Dim size = stride * (x[i + 2] - Dim(1)) + Dim(extra[i]) + windows.extent(i) -
               Dim(windows.begins[i]) - Dim(windows.ends[i]);
    if (windows.same()) size = x[i + 2] * stride;
    if (!asked.empty()) size = Dim(asked[i]);
    if (size.constant().value_or(0) < 0) {
      bad_input("axis {} of {} would get size {}", i + 2, to_string(x), size.to_string());
    }
    assume_at_least(context, size, 0);
    sizes.push_back(not_below_zero(size));
  }
  return sizes;
}

// Weight [C, M / group, kernel...].
void infer_conv_transpose(InferenceContext& context) {
  const std::int64_t group = group_of(context);
  const Windows windows = windows_of(context, kernel_sizes(context));
  const Value& x = context.input(0);
  const DimShape& weight = context.input(1).shape;
  with_context("channels of the input and of the weight",
               [&] { context.require_equal(x.shape[1], weight[0]); });
  if (weight[0].constant().value_or(0) % group != 0)
    bad_input("{} input channels do not divide into {} groups", weight[0].to_string(), group);
  const Dim channels = weight[1] * Dim(group);
  check_bias(context, channels);
  DimShape shape = {x.shape[0], channels};
  for (Dim& size : transposed_sizes(context, windows)) shape.push_back(std::move(size));
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
    {"ConvTranspose",
     22,
     2,
     3,
     1,
     1,
     {"auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads",
      "strides"},
     infer_conv_transpose},
};

}  // namespace

std::span<const OpSchema> convolution_ops() { return kOps; }

}  // namespace tenon::graph::ops
