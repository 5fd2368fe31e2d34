// Matrix products.
#include <utility>

#include "graph/ops/common.h"
#include "graph/ops/ops.h"

namespace tenon::graph::ops {
namespace {

void require_inner(InferenceContext& context, const Dim& left, const Dim& right) {
  with_context("inner dimensions of the product", [&] { context.require_equal(left, right); });
}

void infer_matmul(InferenceContext& context) {
  const Value& a = number_input(context, 0);
  require_same_type(context, 0, 1);
  require_min_rank(context, 0, 1);
  require_min_rank(context, 1, 1);
  DimShape left = a.shape;
  DimShape right = context.input(1).shape;
  const bool row = left.size() == 1;  // a vector is a row on the left, a column on the right
  const bool column = right.size() == 1;
  if (row) left.insert(left.begin(), Dim(1));
  if (column) right.emplace_back(1);
  require_inner(context, left.back(), right[right.size() - 2]);
  DimShape shape =
      context.broadcast({left.begin(), left.end() - 2}, {right.begin(), right.end() - 2});
  if (!row) shape.push_back(left[left.size() - 2]);
  if (!column) shape.push_back(right.back());
  context.set_output(0, a.dtype, std::move(shape));
}

void infer_gemm(InferenceContext& context) {
  const Value& a = number_input(context, 0);
  require_same_type(context, 0, 1);
  require_rank(context, 0, 2);
  require_rank(context, 1, 2);
  DimShape left = a.shape;
  DimShape right = context.input(1).shape;
  if (context.attributes().get_int("transA", 0) != 0) std::swap(left[0], left[1]);
  if (context.attributes().get_int("transB", 0) != 0) std::swap(right[0], right[1]);
  require_inner(context, left[1], right[0]);
  DimShape shape = {left[0], right[1]};
  if (context.has_input(2)) {
    require_same_type(context, 0, 2);
    require_broadcast_to(context, context.input(2).shape, shape);
  }
  context.set_output(0, a.dtype, std::move(shape));
}

void check_activation(const InferenceContext& context) {
  const std::string name = context.attributes().get_string("activation", "");
  for (const char* known : {"", "relu", "gelu", "gelu_tanh", "silu"}) {
    if (name == known) return;
  }
  bad_input("activation \"{}\", expected one of relu, gelu, gelu_tanh, silu or none", name);
}

// x [..., K], W [K, N], bias [N]?, residual [..., N]? -> [..., N] in the type of x.
void infer_linear(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  const Value& weight = float_input(context, 1);
  require_min_rank(context, 0, 1);
  require_rank(context, 1, 2);
  check_activation(context);
  require_inner(context, x.shape.back(), weight.shape[0]);
  DimShape shape = x.shape;
  shape.back() = weight.shape[1];
  if (context.has_input(2)) {
    float_input(context, 2);
    require_vector(context, 2, weight.shape[1]);
  }
  if (context.has_input(3)) {
    require_same_type(context, 0, 3);
    require_rank(context, 3, shape.size());
    const DimShape& residual = context.input(3).shape;
    for (std::size_t i = 0; i < shape.size(); ++i)
      with_context("residual", [&] { context.require_equal(residual[i], shape[i]); });
  }
  context.set_output(0, x.dtype, std::move(shape));
}

// Two halves [..., 2 I] -> [..., I]
void infer_halves(InferenceContext& context) {
  const Value& x = float_input(context, 0);
  require_min_rank(context, 0, 1);
  const auto half = x.shape.back().divided_by(Dim(2));
  if (!half) bad_input("the last dimension {} is not a multiple of 2", x.shape.back().to_string());
  DimShape shape = x.shape;
  shape.back() = *half;
  context.set_output(0, x.dtype, std::move(shape));
}

const OpSchema kOps[] = {
    {"MatMul", 13, 2, 2, 1, 1, {}, infer_matmul},
    {"Gemm", 13, 2, 3, 1, 1, {"alpha", "beta", "transA", "transB"}, infer_gemm},
    {"tenon.Linear", 0, 2, 4, 1, 1, {"activation"}, infer_linear},
    {"tenon.SwiGlu", 0, 1, 1, 1, 1, {}, infer_halves},
    {"tenon.GeGlu", 0, 1, 1, 1, 1, {}, infer_halves},
};

}  // namespace

std::span<const OpSchema> linear_ops() { return kOps; }

}  // namespace tenon::graph::ops
