#include "graph/ops/windows.h"

#include <algorithm>
#include <array>

#include "graph/ops/common.h"

namespace tenon::graph::ops {
namespace {

// Keeps products of an attribute and a size in 64 bits.
constexpr std::int64_t kMostStep = std::int64_t{1} << 31;

std::vector<std::int64_t> numbers_of(const InferenceContext& context, const char* name,
                                     std::size_t count, std::int64_t least) {
  auto numbers = context.attributes().get_ints(name);
  if (numbers.empty()) numbers.assign(count, least);
  if (numbers.size() != count) {
    bad_input("attribute {} has {} numbers, expected {} for an input of shape {}", name,
              numbers.size(), count, to_string(context.input(0).shape));
  }
  for (const std::int64_t number : numbers) {
    if (number < least || number > kMostStep)
      bad_input("attribute {} holds {}, expected {} to {}", name, number, least, kMostStep);
  }
  return numbers;
}

DimShape kernel_of(InferenceContext& context, DimShape weight, std::size_t rank) {
  if (weight.empty() && !context.attributes().has("kernel_shape"))
    bad_input("attribute kernel_shape is missing");
  if (!context.attributes().has("kernel_shape")) return weight;
  const auto given = numbers_of(context, "kernel_shape", rank, 1);
  if (weight.empty()) weight.assign(given.begin(), given.end());
  for (std::size_t i = 0; i < rank; ++i) {
    with_context("kernel_shape and the weight",
                 [&] { weight[i] = context.require_equal(Dim(given[i]), weight[i]); });
  }
  return weight;
}

}  // namespace

Dim Windows::extent(std::size_t axis) const {
  return (kernel[axis] - Dim(1)) * Dim(dilations[axis]) + Dim(1);
}

Windows windows_of(InferenceContext& context, DimShape kernel) {
  require_min_rank(context, 0, 3);
  Windows windows;
  windows.rank = context.input(0).shape.size() - 2;
  windows.kernel = kernel_of(context, std::move(kernel), windows.rank);
  windows.strides = numbers_of(context, "strides", windows.rank, 1);
  windows.dilations = numbers_of(context, "dilations", windows.rank, 1);
  windows.auto_pad = context.attributes().get_string("auto_pad", "NOTSET");
  const std::array<std::string_view, 4> known = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
  if (std::find(known.begin(), known.end(), windows.auto_pad) == known.end()) {
    bad_input("attribute auto_pad is \"{}\", expected NOTSET, VALID, SAME_UPPER or SAME_LOWER",
              windows.auto_pad);
  }
  auto pads = numbers_of(context, "pads", 2 * windows.rank, 0);
  if (windows.auto_pad != "NOTSET") pads.assign(2 * windows.rank, 0);
  const auto middle = pads.begin() + static_cast<std::ptrdiff_t>(windows.rank);
  windows.begins.assign(pads.begin(), middle);
  windows.ends.assign(middle, pads.end());
  return windows;
}

DimShape slid_sizes(InferenceContext& context, const Windows& windows, bool ceil_mode) {
  const DimShape& x = context.input(0).shape;
  DimShape sizes;
  for (std::size_t i = 0; i < windows.rank; ++i) {
    const Dim& in = x[i + 2];
    const Dim stride(windows.strides[i]);
    if (windows.same()) {
      sizes.push_back(Dim::ceil_div(in, stride));
      continue;
    }
    const Dim room = in + Dim(windows.begins[i]) + Dim(windows.ends[i]) - windows.extent(i);
    Dim size = (ceil_mode ? Dim::ceil_div(room, stride) : Dim::floor_div(room, stride)) + Dim(1);
    // The last window must begin inside x or the padding before it, as a long one does anyway.
    const bool may_begin_beyond =
        (windows.extent(i) - Dim(windows.ends[i]) - stride).constant().value_or(-1) < 0;
    if (ceil_mode && may_begin_beyond)
      size = Dim::min(size, Dim::ceil_div(in + Dim(windows.begins[i]), stride));
    if (size.constant().value_or(1) < 1 && in.constant().value_or(0) > 0) {
      bad_input("a window of {} does not fit into axis {} of {} with {} and {} of padding",
                windows.extent(i).to_string(), i + 2, to_string(x), windows.begins[i],
                windows.ends[i]);
    }
    assume_at_least(context, size, 0);
    sizes.push_back(not_below_zero(size));
  }
  return sizes;
}

}  // namespace tenon::graph::ops
