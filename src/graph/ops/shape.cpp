// Operators that compute with shapes or change them and keep the elements.
#include <algorithm>
#include <cmath>

#include "graph/ops/common.h"
#include "graph/ops/content.h"
#include "graph/ops/ops.h"

namespace tenon::graph::ops {
namespace {

void infer_shape(InferenceContext& context) {
  const DimShape& shape = context.input(0).shape;
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto bound = [&](std::string_view name, std::int64_t fallback) {
    const std::int64_t given = context.attributes().get_int(name, fallback);
    return std::clamp<std::int64_t>(given < 0 ? given + rank : given, 0, rank);
  };
  const std::int64_t start = bound("start", 0);
  const std::int64_t end = std::max(start, bound("end", rank));
  context.set_output(0, DType::i64, {Dim(end - start)});
  context.set_content(0, {shape.begin() + start, shape.begin() + end});
}

void infer_size(InferenceContext& context) {
  context.set_output(0, DType::i64, {});
  context.set_content(0, {element_count(context.input(0).shape)});
}

// Takes the dims that stand in both lists out of both, so that what is left divides more plainly.
void cancel(std::vector<Dim>& above, std::vector<Dim>& below) {
  for (auto dim = below.begin(); dim != below.end();) {
    const auto same = std::find(above.begin(), above.end(), *dim);
    if (same == above.end()) {
      ++dim;
    } else {
      above.erase(same);
      dim = below.erase(dim);
    }
  }
}

Dim missing_dim(InferenceContext& context, const DimShape& from, const DimShape& others) {
  DimShape above = from;
  DimShape below = others;
  if (element_count(others) == Dim(0))
    bad_input("the dimension -1 of {} cannot be told beside a 0", to_string(others));
  cancel(above, below);
  const Dim total = element_count(above);
  const Dim rest = element_count(below);
  if (const auto exact = total.divided_by(rest)) return *exact;
  if (total.constant() && rest.constant()) {
    bad_input("{} elements of shape {} do not divide by {}", total.to_string(), to_string(from),
              rest.to_string());
  }
  const Dim quotient = Dim::floor_div(total, rest);
  context.require_equal(quotient * rest, total);
  return quotient;
}

void require_same_count(InferenceContext& context, const DimShape& from, const DimShape& to) {
  DimShape left = from;
  DimShape right = to;
  cancel(left, right);
  const Dim a = element_count(left);
  const Dim b = element_count(right);
  if ((a - b).constant().value_or(0) != 0) {
    bad_input("shape {} cannot be read as {}: the number of elements differs", to_string(from),
              to_string(to));
  }
  if (!left.empty() || !right.empty()) context.require_equal(a, b);
}

void infer_reshape(InferenceContext& context) {
  const Value& input = context.input(0);
  typed_input(context, 1, DType::i64);
  require_rank(context, 1, 1);
  const std::vector<Dim> wanted = context.content(1);
  const bool allow_zero = context.attributes().get_int("allowzero", 0) != 0;
  DimShape shape;
  DimShape given;
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    Dim dim = wanted[i];
    const auto number = dim.constant();
    if (number && *number == -1) {
      if (open) bad_input("shape {} has -1 twice", to_string(wanted));
      open = i;
    } else if (number && *number < -1) {
      bad_input("shape {} has a negative dimension", to_string(wanted));
    } else if (number && *number == 0 && !allow_zero) {
      if (i >= input.shape.size()) {
        bad_input("shape {} copies dimension {}, which the input {} does not have",
                  to_string(wanted), i, to_string(input.shape));
      }
      dim = input.shape[i];
    }
    shape.push_back(dim);
    if (open != i) given.push_back(dim);
  }
  if (open) {
    shape[*open] = missing_dim(context, input.shape, given);
  } else {
    require_same_count(context, input.shape, shape);
  }
  context.set_output(0, input.dtype, std::move(shape));
  set_known(context, context.try_content(0));
}

void infer_flatten(InferenceContext& context) {
  const Value& input = context.input(0);
  const auto rank = static_cast<std::int64_t>(input.shape.size());
  std::int64_t axis = context.attributes().get_int("axis", 1);
  if (axis < -rank || axis > rank) bad_input("axis {} of a tensor of rank {}", axis, rank);
  if (axis < 0) axis += rank;
  Dim before(1);
  Dim after(1);
  for (std::int64_t i = 0; i < rank; ++i) {
    Dim& side = i < axis ? before : after;
    side = side * input.shape[static_cast<std::size_t>(i)];
  }
  context.set_output(0, input.dtype, {before, after});
}

void infer_transpose(InferenceContext& context) {
  const Value& input = context.input(0);
  const std::size_t rank = input.shape.size();
  std::vector<std::int64_t> order = context.attributes().get_ints("perm");
  if (order.empty()) {
    for (std::size_t i = rank; i-- > 0;) order.push_back(static_cast<std::int64_t>(i));
  }
  if (order.size() != rank)
    bad_input("perm has {} axes, the input {} has {}", order.size(), to_string(input.shape), rank);
  checked_axes(order, rank);
  DimShape shape;
  for (const std::int64_t axis : order)
    shape.push_back(input.shape[InferenceContext::axis(axis, rank)]);
  context.set_output(0, input.dtype, std::move(shape));
  if (rank <= 1) set_known(context, context.try_content(0));
}

void infer_squeeze(InferenceContext& context) {
  const Value& input = context.input(0);
  std::vector<std::size_t> axes;
  if (context.has_input(1)) {
    axes = axes_input(context, 1, input.shape.size());
  } else {
    for (std::size_t i = 0; i < input.shape.size(); ++i) {
      if (input.shape[i] == Dim(1)) axes.push_back(i);
    }
  }
  DimShape shape;
  for (std::size_t i = 0; i < input.shape.size(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) {
      shape.push_back(input.shape[i]);
    } else {
      with_context("squeezed axis", [&] { context.require_equal(input.shape[i], Dim(1)); });
    }
  }
  context.set_output(0, input.dtype, std::move(shape));
  set_known(context, context.try_content(0));
}

void infer_unsqueeze(InferenceContext& context) {
  const Value& input = context.input(0);
  const std::size_t rank = input.shape.size() + context.numbers(1).size();
  const std::vector<std::size_t> axes = axes_input(context, 1, rank);
  DimShape shape;
  std::size_t next = 0;
  for (std::size_t i = 0; i < rank; ++i) {
    const bool made = std::find(axes.begin(), axes.end(), i) != axes.end();
    shape.push_back(made ? Dim(1) : input.shape[next++]);
  }
  context.set_output(0, input.dtype, std::move(shape));
  set_known(context, context.try_content(0));
}

// A shape given as the content of an input: a vector without negative elements.
DimShape shape_content(InferenceContext& context, std::size_t index) {
  typed_input(context, index, DType::i64);
  require_rank(context, index, 1);
  DimShape shape = context.content(index);
  for (const Dim& dim : shape) {
    if (dim.constant().value_or(0) < 0)
      bad_input("shape {} has a negative dimension", to_string(shape));
  }
  return shape;
}

// The content of input 0, repeated to the constant shape of output 0.
void repeat_content(InferenceContext& context) {
  const auto content = known_content(context, 0);
  const auto shape = constant_shape(context.outputs()[0].shape);
  if (content && shape) set_known(context, broadcast_to(*content, *shape));
}

void infer_expand(InferenceContext& context) {
  const Value& input = context.input(0);
  const DimShape target = shape_content(context, 1);
  context.set_output(0, input.dtype, context.broadcast(input.shape, target));
  repeat_content(context);
}

void infer_tile(InferenceContext& context) {
  const Value& input = context.input(0);
  const DimShape repeats = shape_content(context, 1);
  if (repeats.size() != input.shape.size()) {
    bad_input("repeats has {} elements, the input {} has rank {}", repeats.size(),
              to_string(input.shape), input.shape.size());
  }
  DimShape shape;
  for (std::size_t i = 0; i < repeats.size(); ++i) shape.push_back(input.shape[i] * repeats[i]);
  context.set_output(0, input.dtype, std::move(shape));
  repeat_content(context);  // gives up unless every repeated dimension is 1
}

void infer_constant_of_shape(InferenceContext& context) {
  const DType type = dtype_from_onnx(context.attributes().get_int("dtype", 1));
  context.set_output(0, type, shape_content(context, 0));
  if (is_float(type)) return;
  const Dim value(context.attributes().get_int("value", 0));
  const auto shape = constant_shape(context.outputs()[0].shape);
  if (shape) set_known(context, broadcast_to({{}, {value}}, *shape));
}

// The value of a float constant scalar.
double constant_number(const InferenceContext& context, std::size_t index) {
  const Value& value = context.input(index);
  if (!value.constant || value.constant->shape().size() > 1 || element_count(value.shape) != Dim(1))
    bad_input("input {} ({}) must be a constant scalar", index, value.name);
  return converted(value.constant->load().view(), DType::f64).as<double>()[0];
}

Dim float_range_count(const InferenceContext& context) {
  const double start = constant_number(context, 0);
  const double limit = constant_number(context, 1);
  const double step = constant_number(context, 2);
  const double count = std::ceil((limit - start) / step);
  if (!(std::abs(count) < 1e15)) bad_input("range from {} to {} by {}", start, limit, step);
  return Dim(static_cast<std::int64_t>(std::max(count, 0.0)));
}

Dim range_count(const Dim& start, const Dim& limit, const Dim& step) {
  const auto by = step.constant();
  if (!by) bad_input("the step of a range must be constant, found {}", step.to_string());
  if (*by == 0 || *by == INT64_MIN) bad_input("range by {}", *by);
  const Dim distance = *by > 0 ? limit - start : start - limit;
  return Dim::ceil_div(not_below_zero(distance), Dim(*by > 0 ? *by : -*by));
}

void infer_range(InferenceContext& context) {
  const DType type = number_input(context, 0).dtype;
  require_same_type(context, 0, 1);
  require_same_type(context, 0, 2);
  if (is_float(type)) return context.set_output(0, type, {float_range_count(context)});
  const Dim start = scalar_content(context, 0);
  const Dim step = scalar_content(context, 2);
  const Dim count = range_count(start, scalar_content(context, 1), step);
  context.set_output(0, type, {count});
  const auto number = count.constant();
  if (!number || *number > kMaxContent) return;
  std::vector<Dim> elements;
  for (std::int64_t i = 0; i < *number; ++i) elements.push_back(start + step * Dim(i));
  context.set_content(0, std::move(elements));
}

void infer_eye_like(InferenceContext& context) {
  const Value& input = context.input(0);
  require_rank(context, 0, 2);
  const auto type = context.attributes().has("dtype")
                        ? dtype_from_onnx(context.attributes().get_int("dtype", 0))
                        : input.dtype;
  context.set_output(0, type, input.shape);
}

void refuse_nonzero(InferenceContext& context) {
  throw Error(ErrorCode::bad_input,
              fmt::format("the output's size depends on the elements of {}, which is not supported",
                          context.input(0).name))
      .hint("export the model without data-dependent shapes");
}

const OpSchema kOps[] = {
    {"Shape", 25, 1, 1, 1, 1, {"start", "end"}, infer_shape},
    {"Size", 25, 1, 1, 1, 1, {}, infer_size},
    {"Reshape", 25, 2, 2, 1, 1, {"allowzero"}, infer_reshape},
    {"Flatten", 25, 1, 1, 1, 1, {"axis"}, infer_flatten},
    {"Transpose", 25, 1, 1, 1, 1, {"perm"}, infer_transpose},
    {"Squeeze", 25, 1, 2, 1, 1, {}, infer_squeeze},
    {"Unsqueeze", 25, 2, 2, 1, 1, {}, infer_unsqueeze},
    {"Expand", 13, 2, 2, 1, 1, {}, infer_expand},
    {"Tile", 13, 2, 2, 1, 1, {}, infer_tile},
    {"ConstantOfShape", 25, 1, 1, 1, 1, {"value", "dtype"}, infer_constant_of_shape},
    {"Range", 11, 3, 3, 1, 1, {}, infer_range},
    {"EyeLike", 22, 1, 1, 1, 1, {"dtype", "k"}, infer_eye_like},
    {"NonZero", 13, 1, 1, 1, 1, {}, refuse_nonzero},
};

}  // namespace

std::span<const OpSchema> shape_ops() { return kOps; }

}  // namespace tenon::graph::ops
