// The sliding windows of convolutions and pools: their attributes checked, their output sizes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/op_schema.h"

namespace tenon::graph::ops {

/// One window over the spatial axes of x [N, C, spatial...]; every vector has one element an axis.
struct Windows {
  std::size_t rank = 0;  ///< spatial axes
  DimShape kernel;
  std::vector<std::int64_t> strides;
  std::vector<std::int64_t> dilations;
  std::vector<std::int64_t> begins;  ///< padding before, 0 or more; 0 under any auto_pad
  std::vector<std::int64_t> ends;
  std::string auto_pad;  ///< NOTSET, VALID, SAME_UPPER or SAME_LOWER

  bool same() const { return auto_pad.starts_with("SAME"); }
  /// (kernel - 1) * dilation + 1: elements from the first to the last that a window covers.
  Dim extent(std::size_t axis) const;
};

/// Reads kernel_shape (unless `kernel` is given, of which it must be a repetition), strides,
/// dilations, pads and auto_pad. Error(bad_input) for a number out of range, a wrong count of
/// numbers, or an x without spatial axes.
Windows windows_of(InferenceContext& context, DimShape kernel = {});

/// Sizes of the spatial axes when a window slides over x:
/// floor or ceil((in + begin + end - extent) / stride) + 1, and ceil(in / stride) when padded to
/// the same size. With `ceil_mode` a window that would begin in the padding at the end is dropped.
DimShape slid_sizes(InferenceContext& context, const Windows& windows, bool ceil_mode);

}  // namespace tenon::graph::ops
