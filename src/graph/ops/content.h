// Folding of integer tensors whose elements are known as dims: what shapes are computed with.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "graph/op_schema.h"

namespace tenon::graph::ops {

/// Row-major elements of a small integer or bool tensor of known shape.
struct Content {
  std::vector<std::int64_t> shape;
  std::vector<Dim> elements;
};

/// The known content of an input; nullopt when it is absent, unknown or not of an integer type.
std::optional<Content> known_content(const InferenceContext& context, std::size_t index);

/// Combines elements under broadcasting; nullopt from `combine` means that the result is unknown,
/// and so does a number that leaves 64 bits.
using Combine = std::optional<Dim> (*)(const Dim& a, const Dim& b);
std::optional<Content> fold(const Content& a, const Content& b, Combine combine);
/// The elements of `content` broadcast to `shape`; nullopt when it does not or is too large.
std::optional<std::vector<Dim>> broadcast_to(const Content& content,
                                             const std::vector<std::int64_t>& shape);

std::optional<Dim> add_dims(const Dim& a, const Dim& b);
std::optional<Dim> subtract_dims(const Dim& a, const Dim& b);
std::optional<Dim> multiply_dims(const Dim& a, const Dim& b);
/// Rounds towards zero, as integer Div does.
std::optional<Dim> divide_dims(const Dim& a, const Dim& b);
/// Takes the sign of the divisor, as integer Mod does.
std::optional<Dim> modulo_dims(const Dim& a, const Dim& b);
std::optional<Dim> min_dims(const Dim& a, const Dim& b);
std::optional<Dim> max_dims(const Dim& a, const Dim& b);
/// Comparisons give 0 or 1.
std::optional<Dim> equal_dims(const Dim& a, const Dim& b);
std::optional<Dim> less_dims(const Dim& a, const Dim& b);
std::optional<Dim> less_or_equal_dims(const Dim& a, const Dim& b);
std::optional<Dim> greater_dims(const Dim& a, const Dim& b);
std::optional<Dim> greater_or_equal_dims(const Dim& a, const Dim& b);
std::optional<Dim> and_dims(const Dim& a, const Dim& b);
std::optional<Dim> or_dims(const Dim& a, const Dim& b);
std::optional<Dim> xor_dims(const Dim& a, const Dim& b);

/// Sets output 0's content from the elements when there are any.
void set_known(InferenceContext& context, std::optional<std::vector<Dim>> elements,
               std::size_t output = 0);

}  // namespace tenon::graph::ops
