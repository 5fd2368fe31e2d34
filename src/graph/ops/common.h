// Checks that many inference functions share. Each names the input, what it is and what was
// expected.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::graph::ops {

/// The input, when it is of the class; Error(bad_input) otherwise.
const Value& float_input(const InferenceContext& context, std::size_t index);
/// Any type but bool.
const Value& number_input(const InferenceContext& context, std::size_t index);
/// int32 or int64.
const Value& index_input(const InferenceContext& context, std::size_t index);
const Value& typed_input(const InferenceContext& context, std::size_t index, DType wanted);

/// Error(bad_input) when the element type of `index` is not that of `model`.
void require_same_type(const InferenceContext& context, std::size_t model, std::size_t index);
void require_rank(const InferenceContext& context, std::size_t index, std::size_t rank);
void require_min_rank(const InferenceContext& context, std::size_t index, std::size_t rank);
/// A vector of `size` elements; records a constraint where only a run can tell.
void require_vector(InferenceContext& context, std::size_t index, const Dim& size);
/// `shape` broadcasts to `target` without enlarging it.
void require_broadcast_to(InferenceContext& context, const DimShape& shape, const DimShape& target);

/// Output 0 is like input 0.
void infer_like_input(InferenceContext& context);

/// The one number of a scalar or one-element input.
Dim scalar_content(const InferenceContext& context, std::size_t index);
std::int64_t scalar_number(const InferenceContext& context, std::size_t index);
/// Axes from an input or, when it is absent, from the attribute of the old form; made
/// non-negative, sorted, each once; Error(bad_input) for an axis out of range or twice.
std::vector<std::size_t> axes_input(const InferenceContext& context, std::size_t index,
                                    std::size_t rank);
std::vector<std::size_t> checked_axes(const std::vector<std::int64_t>& axes, std::size_t rank);

/// True when the dim cannot be negative whatever its symbols are, which are sizes and so not
/// negative themselves. False when that is not plain to see.
bool never_negative(const Dim& dim);
/// The dim, for which `dim >= least` is assumed and recorded as a constraint when it is not plain.
void assume_at_least(InferenceContext& context, const Dim& dim, std::int64_t least);
/// max(dim, 0), simplified where the sign is known.
Dim not_below_zero(const Dim& dim);

}  // namespace tenon::graph::ops
