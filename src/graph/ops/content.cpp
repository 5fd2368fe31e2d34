#include "graph/ops/content.h"

#include <algorithm>

#include "base/error.h"
#include "graph/ops/common.h"

namespace tenon::graph::ops {
namespace {

// Row-major strides of `from` seen through the larger shape `to`: 0 where it repeats.
std::optional<std::vector<std::int64_t>> repeat_strides(const std::vector<std::int64_t>& from,
                                                        const std::vector<std::int64_t>& to) {
  if (from.size() > to.size()) return std::nullopt;
  std::vector<std::int64_t> strides(to.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const std::int64_t size = from[from.size() - 1 - i];
    const std::size_t at = to.size() - 1 - i;
    if (size != 1 && size != to[at]) return std::nullopt;
    if (size != 1) strides[at] = stride;
    stride *= size;
  }
  return strides;
}

std::optional<std::vector<std::int64_t>> joined_shape(const std::vector<std::int64_t>& a,
                                                      const std::vector<std::int64_t>& b) {
  std::vector<std::int64_t> shape(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t left = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t right = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (left != 1 && right != 1 && left != right) return std::nullopt;
    shape[shape.size() - 1 - i] = left == 1 ? right : left;
  }
  return shape;
}

std::optional<Dim> truth(bool value) { return Dim(value ? 1 : 0); }

// Folding is a service: numbers that leave 64 bits (masks, hash constants) only end it.
std::optional<Dim> combined(Combine combine, const Dim& a, const Dim& b) {
  try {
    return combine(a, b);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<Dim> truncated_quotient(std::int64_t a, std::int64_t b) {
  if (b == 0 || (b == -1 && a == INT64_MIN)) return std::nullopt;
  return Dim(a / b);
}

}  // namespace

std::optional<Content> known_content(const InferenceContext& context, std::size_t index) {
  auto elements = context.try_content(index);
  if (!elements) return std::nullopt;
  auto shape = constant_shape(context.input(index).shape);
  if (!shape) return std::nullopt;
  return Content{std::move(*shape), std::move(*elements)};
}

std::optional<std::vector<Dim>> broadcast_to(const Content& content,
                                             const std::vector<std::int64_t>& shape) {
  const auto strides = repeat_strides(content.shape, shape);
  if (!strides || element_count(shape) > kMaxContent) return std::nullopt;
  std::vector<Dim> elements;
  const std::int64_t count = element_count(shape);
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t rest = i;
    std::int64_t from = 0;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      from += rest % shape[axis] * (*strides)[axis];
      rest /= shape[axis];
    }
    elements.push_back(content.elements[static_cast<std::size_t>(from)]);
  }
  return elements;
}

std::optional<Content> fold(const Content& a, const Content& b, Combine combine) {
  const auto shape = joined_shape(a.shape, b.shape);
  if (!shape) return std::nullopt;
  const auto left = broadcast_to(a, *shape);
  const auto right = broadcast_to(b, *shape);
  if (!left || !right) return std::nullopt;
  Content result{*shape, {}};
  for (std::size_t i = 0; i < left->size(); ++i) {
    const auto element = combined(combine, (*left)[i], (*right)[i]);
    if (!element) return std::nullopt;
    result.elements.push_back(*element);
  }
  return result;
}

std::optional<Dim> add_dims(const Dim& a, const Dim& b) { return a + b; }
std::optional<Dim> subtract_dims(const Dim& a, const Dim& b) { return a - b; }
std::optional<Dim> multiply_dims(const Dim& a, const Dim& b) { return a * b; }

std::optional<Dim> divide_dims(const Dim& a, const Dim& b) {
  const auto left = a.constant();
  const auto right = b.constant();
  if (left && right) return truncated_quotient(*left, *right);
  if (right && *right == 0) return std::nullopt;
  if (const auto exact = a.divided_by(b)) return exact;
  // Rounding down is rounding towards zero only where neither is negative.
  if (!never_negative(a) || !never_negative(b)) return std::nullopt;
  return Dim::floor_div(a, b);
}

std::optional<Dim> modulo_dims(const Dim& a, const Dim& b) {
  const auto divisor = b.constant();
  if (!divisor || *divisor <= 0) return std::nullopt;
  return a - b * Dim::floor_div(a, b);
}

std::optional<Dim> min_dims(const Dim& a, const Dim& b) { return Dim::min(a, b); }
std::optional<Dim> max_dims(const Dim& a, const Dim& b) {
  if (never_negative(a - b)) return a;
  return never_negative(b - a) ? b : Dim::max(a, b);
}

std::optional<Dim> equal_dims(const Dim& a, const Dim& b) {
  if (const auto difference = (a - b).constant()) return truth(*difference == 0);
  if (never_negative(a - b - Dim(1)) || never_negative(b - a - Dim(1))) return truth(false);
  return std::nullopt;
}

std::optional<Dim> less_dims(const Dim& a, const Dim& b) {
  if (never_negative(b - a - Dim(1))) return truth(true);
  return never_negative(a - b) ? truth(false) : std::nullopt;
}

std::optional<Dim> less_or_equal_dims(const Dim& a, const Dim& b) {
  if (never_negative(b - a)) return truth(true);
  return never_negative(a - b - Dim(1)) ? truth(false) : std::nullopt;
}

std::optional<Dim> greater_dims(const Dim& a, const Dim& b) { return less_dims(b, a); }
std::optional<Dim> greater_or_equal_dims(const Dim& a, const Dim& b) {
  return less_or_equal_dims(b, a);
}

std::optional<Dim> and_dims(const Dim& a, const Dim& b) { return a * b; }
std::optional<Dim> or_dims(const Dim& a, const Dim& b) { return a + b - a * b; }
std::optional<Dim> xor_dims(const Dim& a, const Dim& b) { return a + b - Dim(2) * a * b; }

void set_known(InferenceContext& context, std::optional<std::vector<Dim>> elements,
               std::size_t output) {
  if (elements) context.set_content(output, std::move(*elements));
}

}  // namespace tenon::graph::ops
