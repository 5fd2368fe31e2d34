// Operators of one input whose output has its shape.
#include "graph/ops/common.h"
#include "graph/ops/content.h"
#include "graph/ops/ops.h"

namespace tenon::graph::ops {
namespace {

void infer_float(InferenceContext& context) {
  float_input(context, 0);
  infer_like_input(context);
}

void infer_number(InferenceContext& context) {
  number_input(context, 0);
  infer_like_input(context);
}

void infer_abs(InferenceContext& context) {
  infer_number(context);
  const auto content = context.try_content(0);
  if (!content) return;
  for (const Dim& element : *content) {
    if (!never_negative(element)) return;
  }
  context.set_content(0, *content);
}

void infer_neg(InferenceContext& context) {
  infer_number(context);
  const auto content = known_content(context, 0);
  if (!content) return;
  const auto negative = fold({{}, {Dim(0)}}, *content, subtract_dims);
  if (negative) context.set_content(0, negative->elements);
}

void infer_not(InferenceContext& context) {
  typed_input(context, 0, DType::boolean);
  infer_like_input(context);
  const auto content = known_content(context, 0);
  if (!content) return;
  const auto opposite = fold({{}, {Dim(1)}}, *content, subtract_dims);
  if (opposite) context.set_content(0, opposite->elements);
}

void infer_float_test(InferenceContext& context) {
  context.set_output(0, DType::boolean, float_input(context, 0).shape);
}

void infer_identity(InferenceContext& context) {
  infer_like_input(context);
  set_known(context, context.try_content(0));
}

bool carries_content(DType type) {
  return type == DType::i64 || type == DType::i32 || type == DType::boolean;
}

void cast_to(InferenceContext& context, DType type) {
  const Value& input = context.input(0);
  context.set_output(0, type, input.shape);
  if (!input.content || !carries_content(type)) return;
  if (type != DType::boolean) return context.set_content(0, *input.content);
  std::vector<Dim> truths;
  for (const Dim& element : *input.content) {
    const auto zero = equal_dims(element, Dim(0));
    if (!zero) return;
    truths.push_back(Dim(1) - *zero);
  }
  context.set_content(0, std::move(truths));
}

void infer_cast(InferenceContext& context) {
  if (!context.attributes().has("to")) bad_input("attribute \"to\" is missing");
  cast_to(context, dtype_from_onnx(context.attributes().get_int("to", 0)));
}

void infer_cast_like(InferenceContext& context) { cast_to(context, context.input(1).dtype); }

void infer_clip(InferenceContext& context) {
  number_input(context, 0);
  for (std::size_t bound = 1; bound < 3; ++bound) {
    if (!context.has_input(bound)) continue;
    require_same_type(context, 0, bound);
    const DimShape& shape = context.input(bound).shape;
    if (element_count(shape) != Dim(1))
      bad_input("bound {} has shape {}, expected a scalar", bound, to_string(shape));
  }
  infer_like_input(context);
  auto result = known_content(context, 0);
  if (context.has_input(1) && result) {
    const auto low = known_content(context, 1);
    result = low ? fold(*result, {{}, low->elements}, max_dims) : std::nullopt;
  }
  if (context.has_input(2) && result) {
    const auto high = known_content(context, 2);
    result = high ? fold(*result, {{}, high->elements}, min_dims) : std::nullopt;
  }
  if (result) context.set_content(0, result->elements);
}

void infer_softmax(InferenceContext& context) {
  const Value& input = float_input(context, 0);
  InferenceContext::axis(context.attributes().get_int("axis", -1), input.shape.size());
  infer_like_input(context);
}

void infer_gelu(InferenceContext& context) {
  const std::string form = context.attributes().get_string("approximate", "none");
  if (form != "none" && form != "tanh")
    bad_input("attribute approximate is \"{}\", expected \"none\" or \"tanh\"", form);
  infer_float(context);
}

const OpSchema kOps[] = {
    {"Abs", 13, 1, 1, 1, 1, {}, infer_abs},
    {"Neg", 13, 1, 1, 1, 1, {}, infer_neg},
    {"Sign", 13, 1, 1, 1, 1, {}, infer_number},
    {"Exp", 13, 1, 1, 1, 1, {}, infer_float},
    {"Log", 13, 1, 1, 1, 1, {}, infer_float},
    {"Sqrt", 13, 1, 1, 1, 1, {}, infer_float},
    {"Reciprocal", 13, 1, 1, 1, 1, {}, infer_float},
    {"Sin", 22, 1, 1, 1, 1, {}, infer_float},
    {"Cos", 22, 1, 1, 1, 1, {}, infer_float},
    {"Tan", 22, 1, 1, 1, 1, {}, infer_float},
    {"Asin", 22, 1, 1, 1, 1, {}, infer_float},
    {"Acos", 22, 1, 1, 1, 1, {}, infer_float},
    {"Atan", 22, 1, 1, 1, 1, {}, infer_float},
    {"Sinh", 22, 1, 1, 1, 1, {}, infer_float},
    {"Cosh", 22, 1, 1, 1, 1, {}, infer_float},
    {"Asinh", 22, 1, 1, 1, 1, {}, infer_float},
    {"Acosh", 22, 1, 1, 1, 1, {}, infer_float},
    {"Atanh", 22, 1, 1, 1, 1, {}, infer_float},
    {"Erf", 13, 1, 1, 1, 1, {}, infer_number},
    {"Floor", 13, 1, 1, 1, 1, {}, infer_float},
    {"Ceil", 13, 1, 1, 1, 1, {}, infer_float},
    {"Round", 22, 1, 1, 1, 1, {}, infer_float},
    {"Not", 1, 1, 1, 1, 1, {}, infer_not},
    {"IsNaN", 20, 1, 1, 1, 1, {}, infer_float_test},
    {"IsInf", 20, 1, 1, 1, 1, {"detect_negative", "detect_positive"}, infer_float_test},
    {"Identity", 25, 1, 1, 1, 1, {}, infer_identity},
    {"Cast", 25, 1, 1, 1, 1, {"to", "saturate", "round_mode"}, infer_cast},
    {"CastLike", 25, 2, 2, 1, 1, {"saturate", "round_mode"}, infer_cast_like},
    {"Clip", 13, 1, 3, 1, 1, {}, infer_clip},
    {"Relu", 14, 1, 1, 1, 1, {}, infer_number},
    {"Sigmoid", 13, 1, 1, 1, 1, {}, infer_float},
    {"Tanh", 13, 1, 1, 1, 1, {}, infer_float},
    {"Gelu", 20, 1, 1, 1, 1, {"approximate"}, infer_gelu},
    {"Swish", 24, 1, 1, 1, 1, {"alpha"}, infer_float},
    {"HardSigmoid", 22, 1, 1, 1, 1, {"alpha", "beta"}, infer_float},
    {"HardSwish", 22, 1, 1, 1, 1, {}, infer_float},
    {"LeakyRelu", 16, 1, 1, 1, 1, {"alpha"}, infer_float},
    {"ThresholdedRelu", 22, 1, 1, 1, 1, {"alpha"}, infer_float},
    {"Elu", 22, 1, 1, 1, 1, {"alpha"}, infer_float},
    {"Celu", 12, 1, 1, 1, 1, {"alpha"}, infer_float},
    {"Selu", 22, 1, 1, 1, 1, {"alpha", "gamma"}, infer_float},
    {"Softplus", 22, 1, 1, 1, 1, {}, infer_float},
    {"Softsign", 22, 1, 1, 1, 1, {}, infer_float},
    {"Mish", 22, 1, 1, 1, 1, {}, infer_float},
    {"Softmax", 13, 1, 1, 1, 1, {"axis"}, infer_softmax},
    {"LogSoftmax", 13, 1, 1, 1, 1, {"axis"}, infer_softmax},
};

}  // namespace

std::span<const OpSchema> activation_ops() { return kOps; }

}  // namespace tenon::graph::ops
