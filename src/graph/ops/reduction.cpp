// Operators that combine the elements along axes.
#include <algorithm>
#include <numeric>

#include "graph/ops/common.h"
#include "graph/ops/content.h"
#include "graph/ops/ops.h"

namespace tenon::graph::ops {
namespace {

// Which axes go, by input 1 and `noop_with_empty_axes`.
std::vector<std::size_t> reduced_axes(const InferenceContext& context, std::size_t rank) {
  std::vector<std::size_t> axes;
  if (context.has_input(1)) axes = axes_input(context, 1, rank);
  if (axes.empty() && context.attributes().get_int("noop_with_empty_axes", 0) == 0) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), std::size_t{0});
  }
  return axes;
}

DimShape reduced_shape(const DimShape& shape, const std::vector<std::size_t>& axes, bool keep) {
  DimShape reduced;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool goes = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!goes) reduced.push_back(shape[i]);
    if (goes && keep) reduced.push_back(Dim(1));
  }
  return reduced;
}

void reduce(InferenceContext& context, Combine combine) {
  const Value& input = context.input(0);
  const auto axes = reduced_axes(context, input.shape.size());
  const bool keep = context.attributes().get_int("keepdims", 1) != 0;
  context.set_output(0, input.dtype, reduced_shape(input.shape, axes, keep));
  const auto content = known_content(context, 0);
  if (combine == nullptr || !content || content->shape.size() != 1 || axes.empty() ||
      content->elements.empty()) {
    return;
  }
  std::optional<Content> sum = Content{{}, {content->elements[0]}};
  for (std::size_t i = 1; i < content->elements.size() && sum; ++i)
    sum = fold(*sum, {{}, {content->elements[i]}}, combine);
  if (sum) context.set_content(0, std::move(sum->elements));
}

template <Combine combine>
void infer_reduce(InferenceContext& context) {
  number_input(context, 0);
  reduce(context, combine);
}

template <Combine combine>
void infer_reduce_extreme(InferenceContext& context) {  // bool is allowed: any and all
  reduce(context, combine);
}

void infer_reduce_float(InferenceContext& context) {
  number_input(context, 0);
  reduce(context, nullptr);
}

void infer_arg(InferenceContext& context) {
  const Value& input = number_input(context, 0);
  const std::size_t axis =
      InferenceContext::axis(context.attributes().get_int("axis", 0), input.shape.size());
  if (input.shape[axis] == Dim(0))
    bad_input("axis {} of {} is empty", axis, to_string(input.shape));
  const bool keep = context.attributes().get_int("keepdims", 1) != 0;
  context.set_output(0, DType::i64, reduced_shape(input.shape, {axis}, keep));
}

void infer_cumsum(InferenceContext& context) {
  const Value& input = number_input(context, 0);
  index_input(context, 1);
  InferenceContext::axis(scalar_number(context, 1), input.shape.size());
  infer_like_input(context);
}

void infer_topk(InferenceContext& context) {
  const Value& input = number_input(context, 0);
  const std::size_t axis =
      InferenceContext::axis(context.attributes().get_int("axis", -1), input.shape.size());
  typed_input(context, 1, DType::i64);
  const Dim k = scalar_content(context, 1);
  const Dim& size = input.shape[axis];
  if (k.constant().value_or(0) < 0 || (size - k).constant().value_or(0) < 0)
    bad_input("k is {}, expected 0 to the axis's size {}", k.to_string(), size.to_string());
  if (!never_negative(size - k)) {
    with_context("k at most the axis's size", [&] { context.require_equal(Dim::min(k, size), k); });
  }
  DimShape shape = input.shape;
  shape[axis] = k;
  context.set_output(0, input.dtype, shape);
  if (context.has_output(1)) context.set_output(1, DType::i64, std::move(shape));
}

const std::vector<std::string_view> kReduce = {"keepdims", "noop_with_empty_axes"};

const OpSchema kOps[] = {
    {"ReduceMean", 18, 1, 2, 1, 1, kReduce, infer_reduce_float},
    {"ReduceSum", 13, 1, 2, 1, 1, kReduce, infer_reduce<add_dims>},
    {"ReduceProd", 18, 1, 2, 1, 1, kReduce, infer_reduce<multiply_dims>},
    {"ReduceMax", 20, 1, 2, 1, 1, kReduce, infer_reduce_extreme<max_dims>},
    {"ReduceMin", 20, 1, 2, 1, 1, kReduce, infer_reduce_extreme<min_dims>},
    {"ReduceL1", 18, 1, 2, 1, 1, kReduce, infer_reduce_float},
    {"ReduceL2", 18, 1, 2, 1, 1, kReduce, infer_reduce_float},
    {"ReduceSumSquare", 18, 1, 2, 1, 1, kReduce, infer_reduce_float},
    {"ReduceLogSum", 18, 1, 2, 1, 1, kReduce, infer_reduce_float},
    {"ReduceLogSumExp", 18, 1, 2, 1, 1, kReduce, infer_reduce_float},
    {"ArgMax", 13, 1, 1, 1, 1, {"axis", "keepdims", "select_last_index"}, infer_arg},
    {"ArgMin", 13, 1, 1, 1, 1, {"axis", "keepdims", "select_last_index"}, infer_arg},
    {"CumSum", 14, 2, 2, 1, 1, {"exclusive", "reverse"}, infer_cumsum},
    {"TopK", 24, 2, 2, 1, 2, {"axis", "largest", "sorted"}, infer_topk},
};

}  // namespace

std::span<const OpSchema> reduction_ops() { return kOps; }

}  // namespace tenon::graph::ops
