// Operators that combine what a window covers, or whole planes, of [N, C, spatial...].
#include "graph/ops/common.h"
#include "graph/ops/ops.h"
#include "graph/ops/windows.h"

namespace tenon::graph::ops {
namespace {

DimShape pooled_shape(InferenceContext& context) {
  const Windows windows = windows_of(context);
  const bool ceil_mode = context.attributes().get_int("ceil_mode", 0) != 0;
  const DimShape& x = context.input(0).shape;
  DimShape shape = {x[0], x[1]};
  for (Dim& size : slid_sizes(context, windows, ceil_mode)) shape.push_back(std::move(size));
  return shape;
}

void infer_pool(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  context.set_output(0, x.dtype, pooled_shape(context));
}

void check_power(const InferenceContext& context) {
  const std::int64_t p = context.attributes().get_int("p", 2);
  if (p < 1) bad_input("attribute p is {}, expected 1 or more", p);
}

void infer_lp_pool(InferenceContext& context) {
  check_power(context);
  infer_pool(context);
}

// Output 1: the place in x, seen as one row of numbers, of each maximum.
void infer_max_pool(InferenceContext& context) {
  const Value& x = context.input(0);
  if (!is_float(x.dtype) && x.dtype != DType::i8 && x.dtype != DType::u8)
    bad_input("input 0 ({}) is {}, expected a float type, int8 or uint8", x.name,
              dtype_name(x.dtype));
  DimShape shape = pooled_shape(context);
  if (context.has_output(1)) context.set_output(1, DType::i64, shape);
  context.set_output(0, x.dtype, std::move(shape));
}

void infer_global(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  require_min_rank(context, 0, 3);
  DimShape shape(x.shape.size(), Dim(1));
  shape[0] = x.shape[0];
  shape[1] = x.shape[1];
  context.set_output(0, x.dtype, std::move(shape));
}

void infer_global_lp(InferenceContext& context) {
  check_power(context);
  infer_global(context);
}

void infer_lrn(InferenceContext& context) {
  float_input(context, 0);
  require_min_rank(context, 0, 2);
  const std::int64_t size = context.attributes().get_int("size", 0);
  if (size < 1 || size > (std::int64_t{1} << 31))
    bad_input("attribute size is {}, expected a positive number", size);
  infer_like_input(context);
}

const OpSchema kOps[] = {
    {"MaxPool",
     22,
     1,
     1,
     1,
     2,
     {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"},
     infer_max_pool},
    {"AveragePool",
     22,
     1,
     1,
     1,
     1,
     {"auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"},
     infer_pool},
    {"LpPool",
     22,
     1,
     1,
     1,
     1,
     {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "p", "pads", "strides"},
     infer_lp_pool},
    {"GlobalMaxPool", 22, 1, 1, 1, 1, {}, infer_global},
    {"GlobalAveragePool", 22, 1, 1, 1, 1, {}, infer_global},
    {"GlobalLpPool", 22, 1, 1, 1, 1, {"p"}, infer_global_lp},
    {"LRN", 13, 1, 1, 1, 1, {"alpha", "beta", "bias", "size"}, infer_lrn},
};

}  // namespace

std::span<const OpSchema> pooling_ops() { return kOps; }

}  // namespace tenon::graph::ops
