#include "graph/ops/slice.h"

#include <algorithm>

#include "graph/ops/common.h"

namespace tenon::graph::ops {
namespace {

// Beyond this a bound means "the end", whatever the size is.
constexpr std::int64_t kEndless = INT32_MAX;

SliceExtent constant_extent(std::int64_t size, std::int64_t start, std::int64_t end,
                            std::int64_t step) {
  if (start < 0) start += size;
  if (end < 0) end = end < -size ? -1 : end + size;
  if (step > 0) {
    start = std::clamp<std::int64_t>(start, 0, size);
    end = std::clamp<std::int64_t>(end, 0, size);
    const std::int64_t span = std::max<std::int64_t>(end - start, 0);
    return {start, span / step + (span % step != 0 ? 1 : 0)};
  }
  start = std::clamp<std::int64_t>(start, -1, size - 1);
  end = std::clamp<std::int64_t>(end, -1, size - 1);
  const std::int64_t span = std::max<std::int64_t>(start - end, 0);
  const auto stride = step == INT64_MIN ? INT64_MAX : -step;
  return {std::max<std::int64_t>(start, 0), span / stride + (span % stride != 0 ? 1 : 0)};
}

// A bound counted from the beginning, not yet clamped to the size.
Dim from_beginning(InferenceContext& context, const Dim& size, const Dim& bound) {
  const auto number = bound.constant();
  if (number && *number >= kEndless) return size;
  if (number && *number <= -kEndless) return 0;
  if (!number) {
    assume_at_least(context, bound, 0);
    return bound;
  }
  if (*number >= 0) return bound;
  if (*number == -1) {
    assume_at_least(context, size, 1);
    return size - Dim(1);
  }
  return not_below_zero(size + bound);
}

// min(bound, size), simplified where the order is plain or was assumed.
Dim clamped(InferenceContext& context, const Dim& size, const Dim& bound) {
  if (never_negative(size - bound)) return bound;
  if (never_negative(bound - size)) return size;
  if (bound == Dim(1)) {  // x[1:] of a symbolic size
    assume_at_least(context, size, 1);
    return bound;
  }
  return Dim::min(bound, size);
}

}  // namespace

SliceExtent slice_extent(InferenceContext& context, const Dim& size, const Dim& start,
                         const Dim& end, std::int64_t step) {
  if (step == 0) bad_input("a slice has step 0");
  const auto known_size = size.constant();
  const auto known_start = start.constant();
  const auto known_end = end.constant();
  if (known_size && known_start && known_end)
    return constant_extent(*known_size, *known_start, *known_end, step);
  if (step < 0) {
    const bool whole = known_start && (*known_start == -1 || *known_start >= kEndless) &&
                       known_end && *known_end <= -kEndless && step > -kEndless;
    if (!whole) {
      bad_input(
          "slice [{}:{}:{}] of size {}: only a whole axis can be reversed when sizes are open",
          start.to_string(), end.to_string(), step, size.to_string());
    }
    return {size - Dim(1), Dim::ceil_div(size, Dim(-step))};
  }
  const Dim open_first = from_beginning(context, size, start);
  const Dim open_last = from_beginning(context, size, end);
  const Dim first = clamped(context, size, open_first);
  const Dim last = clamped(context, size, open_last);
  // Clamping keeps an order that the bounds had before it.
  const Dim reach = open_last - open_first;
  if (reach == size - Dim(1)) assume_at_least(context, size, 1);
  const bool ordered = never_negative(reach) || reach == size - Dim(1);
  const Dim span = ordered ? last - first : not_below_zero(last - first);
  return {first, Dim::ceil_div(span, Dim(step))};
}

}  // namespace tenon::graph::ops
