#include "graph/ops/common.h"

#include <algorithm>

namespace tenon::graph::ops {
namespace {

const Value& checked_input(const InferenceContext& context, std::size_t index, bool suits,
                           std::string_view wanted) {
  const Value& value = context.input(index);
  if (!suits) {
    bad_input("input {} ({}) is {}, expected {}", index, value.name, dtype_name(value.dtype),
              wanted);
  }
  return value;
}

}  // namespace

const Value& float_input(const InferenceContext& context, std::size_t index) {
  return checked_input(context, index, is_float(context.input(index).dtype), "a float type");
}

const Value& number_input(const InferenceContext& context, std::size_t index) {
  return checked_input(context, index, context.input(index).dtype != DType::boolean,
                       "a number type");
}

const Value& index_input(const InferenceContext& context, std::size_t index) {
  const DType type = context.input(index).dtype;
  return checked_input(context, index, type == DType::i32 || type == DType::i64, "int32 or int64");
}

const Value& typed_input(const InferenceContext& context, std::size_t index, DType wanted) {
  return checked_input(context, index, context.input(index).dtype == wanted, dtype_name(wanted));
}

void require_same_type(const InferenceContext& context, std::size_t model, std::size_t index) {
  typed_input(context, index, context.input(model).dtype);
}

void require_rank(const InferenceContext& context, std::size_t index, std::size_t rank) {
  const Value& value = context.input(index);
  if (value.shape.size() != rank) {
    bad_input("input {} ({}) has shape {}, expected rank {}", index, value.name,
              to_string(value.shape), rank);
  }
}

void require_min_rank(const InferenceContext& context, std::size_t index, std::size_t rank) {
  const Value& value = context.input(index);
  if (value.shape.size() < rank) {
    bad_input("input {} ({}) has shape {}, expected rank {} or more", index, value.name,
              to_string(value.shape), rank);
  }
}

void require_vector(InferenceContext& context, std::size_t index, const Dim& size) {
  require_rank(context, index, 1);
  const Value& value = context.input(index);
  with_context(value.name, [&] { context.require_equal(value.shape[0], size); });
}

void require_broadcast_to(InferenceContext& context, const DimShape& shape,
                          const DimShape& target) {
  if (shape.size() > target.size())
    bad_input("shape {} does not broadcast to {}", to_string(shape), to_string(target));
  const std::size_t shift = target.size() - shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != Dim(1)) context.require_equal(shape[i], target[i + shift]);
  }
}

void infer_like_input(InferenceContext& context) {
  const Value& input = context.input(0);
  context.set_output(0, input.dtype, input.shape);
}

Dim scalar_content(const InferenceContext& context, std::size_t index) {
  const auto content = context.content(index);
  if (content.size() != 1)
    bad_input("input {} ({}) has {} elements, expected one", index, context.input(index).name,
              content.size());
  return content[0];
}

std::int64_t scalar_number(const InferenceContext& context, std::size_t index) {
  const Dim dim = scalar_content(context, index);
  const auto number = dim.constant();
  if (!number)
    bad_input("input {} ({}) must be constant, found {}", index, context.input(index).name,
              dim.to_string());
  return *number;
}

std::vector<std::size_t> checked_axes(const std::vector<std::int64_t>& axes, std::size_t rank) {
  std::vector<std::size_t> found;
  for (const std::int64_t axis : axes) found.push_back(InferenceContext::axis(axis, rank));
  std::sort(found.begin(), found.end());
  if (const auto twice = std::adjacent_find(found.begin(), found.end()); twice != found.end())
    bad_input("axis {} is named twice", *twice);
  return found;
}

std::vector<std::size_t> axes_input(const InferenceContext& context, std::size_t index,
                                    std::size_t rank) {
  return checked_axes(context.numbers(index), rank);
}

bool never_negative(const Dim& dim) {
  if (const auto number = dim.constant()) return *number >= 0;
  // Sums, products, quotients, minima and maxima of sizes and positive numbers have no minus sign.
  return dim.to_string().find('-') == std::string::npos;
}

void assume_at_least(InferenceContext& context, const Dim& dim, std::int64_t least) {
  if (never_negative(dim - Dim(least))) return;
  context.require_equal(Dim::max(dim, Dim(least)), dim);
}

Dim not_below_zero(const Dim& dim) { return never_negative(dim) ? dim : Dim::max(dim, Dim(0)); }

}  // namespace tenon::graph::ops
