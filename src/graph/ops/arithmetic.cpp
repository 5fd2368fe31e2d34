// Operators on several inputs that broadcast against each other.
#include "graph/ops/common.h"
#include "graph/ops/content.h"
#include "graph/ops/ops.h"

namespace tenon::graph::ops {
namespace {

// Output 0: the broadcast shape of inputs 0 and 1 in `type`; content by `combine` where known.
void binary(InferenceContext& context, DType type, Combine combine) {
  context.set_output(0, type, context.broadcast(context.input(0).shape, context.input(1).shape));
  if (combine == nullptr) return;
  const auto a = known_content(context, 0);
  const auto b = known_content(context, 1);
  if (!a || !b) return;
  if (auto result = fold(*a, *b, combine)) context.set_content(0, std::move(result->elements));
}

template <Combine combine>
void infer_arithmetic(InferenceContext& context) {
  const DType type = number_input(context, 0).dtype;
  require_same_type(context, 0, 1);
  binary(context, type, combine);
}

void infer_pow(InferenceContext& context) {
  const DType type = number_input(context, 0).dtype;
  number_input(context, 1);  // the exponent may have its own type
  binary(context, type, nullptr);
}

void infer_mod(InferenceContext& context) {
  const DType type = number_input(context, 0).dtype;
  require_same_type(context, 0, 1);
  const bool like_c = context.attributes().get_int("fmod", 0) != 0;
  if (is_float(type) && !like_c) bad_input("Mod of a float type needs attribute fmod = 1");
  binary(context, type, like_c ? nullptr : modulo_dims);
}

template <Combine combine>
void infer_extreme(InferenceContext& context) {
  const Value& first = number_input(context, 0);
  DimShape shape = first.shape;
  auto content = known_content(context, 0);
  for (std::size_t i = 1; i < context.input_count(); ++i) {
    require_same_type(context, 0, i);
    shape = context.broadcast(shape, context.input(i).shape);
    const auto next = content ? known_content(context, i) : std::nullopt;
    content = next ? fold(*content, *next, combine) : std::nullopt;
  }
  context.set_output(0, first.dtype, std::move(shape));
  if (content) context.set_content(0, std::move(content->elements));
}

template <Combine combine>
void infer_logic(InferenceContext& context) {
  typed_input(context, 0, DType::boolean);
  typed_input(context, 1, DType::boolean);
  binary(context, DType::boolean, combine);
}

template <Combine combine>
void infer_comparison(InferenceContext& context) {
  require_same_type(context, 0, 1);
  binary(context, DType::boolean, combine);
}

template <Combine combine>
void infer_order(InferenceContext& context) {
  number_input(context, 0);
  infer_comparison<combine>(context);
}

void infer_bitwise(InferenceContext& context) {
  const DType type = number_input(context, 0).dtype;
  if (is_float(type)) bad_input("input 0 is {}, expected an integer type", dtype_name(type));
  require_same_type(context, 0, 1);
  binary(context, type, nullptr);
}

std::optional<std::vector<Dim>> selected(const InferenceContext& context,
                                         const std::vector<std::int64_t>& shape) {
  const auto condition = known_content(context, 0);
  const auto yes = known_content(context, 1);
  const auto no = known_content(context, 2);
  if (!condition || !yes || !no) return std::nullopt;
  const auto chosen = broadcast_to(*condition, shape);
  const auto left = broadcast_to(*yes, shape);
  const auto right = broadcast_to(*no, shape);
  if (!chosen || !left || !right) return std::nullopt;
  std::vector<Dim> elements;
  for (std::size_t i = 0; i < chosen->size(); ++i) {
    const auto truth = (*chosen)[i].constant();
    if (!truth) return std::nullopt;
    elements.push_back(*truth != 0 ? (*left)[i] : (*right)[i]);
  }
  return elements;
}

void infer_where(InferenceContext& context) {
  const Value& condition = typed_input(context, 0, DType::boolean);
  require_same_type(context, 1, 2);
  DimShape shape = context.broadcast(context.input(1).shape, context.input(2).shape);
  shape = context.broadcast(condition.shape, shape);
  const auto known = constant_shape(shape);
  context.set_output(0, context.input(1).dtype, std::move(shape));
  if (known) set_known(context, selected(context, *known));
}

void infer_prelu(InferenceContext& context) {
  const Value& input = number_input(context, 0);
  require_same_type(context, 0, 1);
  require_broadcast_to(context, context.input(1).shape, input.shape);
  infer_like_input(context);
}

const OpSchema kOps[] = {
    {"Add", 14, 2, 2, 1, 1, {}, infer_arithmetic<add_dims>},
    {"Sub", 14, 2, 2, 1, 1, {}, infer_arithmetic<subtract_dims>},
    {"Mul", 14, 2, 2, 1, 1, {}, infer_arithmetic<multiply_dims>},
    {"Div", 14, 2, 2, 1, 1, {}, infer_arithmetic<divide_dims>},
    {"Pow", 15, 2, 2, 1, 1, {}, infer_pow},
    {"Mod", 13, 2, 2, 1, 1, {"fmod"}, infer_mod},
    {"Min", 13, 1, kAnyNumber, 1, 1, {}, infer_extreme<min_dims>},
    {"Max", 13, 1, kAnyNumber, 1, 1, {}, infer_extreme<max_dims>},
    {"Sum", 13, 1, kAnyNumber, 1, 1, {}, infer_extreme<add_dims>},
    {"And", 7, 2, 2, 1, 1, {}, infer_logic<and_dims>},
    {"Or", 7, 2, 2, 1, 1, {}, infer_logic<or_dims>},
    {"Xor", 7, 2, 2, 1, 1, {}, infer_logic<xor_dims>},
    {"BitwiseAnd", 18, 2, 2, 1, 1, {}, infer_bitwise},
    {"BitwiseOr", 18, 2, 2, 1, 1, {}, infer_bitwise},
    {"BitwiseXor", 18, 2, 2, 1, 1, {}, infer_bitwise},
    {"Equal", 19, 2, 2, 1, 1, {}, infer_comparison<equal_dims>},
    {"Greater", 13, 2, 2, 1, 1, {}, infer_order<greater_dims>},
    {"GreaterOrEqual", 16, 2, 2, 1, 1, {}, infer_order<greater_or_equal_dims>},
    {"Less", 13, 2, 2, 1, 1, {}, infer_order<less_dims>},
    {"LessOrEqual", 16, 2, 2, 1, 1, {}, infer_order<less_or_equal_dims>},
    {"Where", 16, 3, 3, 1, 1, {}, infer_where},
    {"PRelu", 16, 2, 2, 1, 1, {}, infer_prelu},
};

}  // namespace

std::span<const OpSchema> arithmetic_ops() { return kOps; }

}  // namespace tenon::graph::ops
