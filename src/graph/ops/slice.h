// The extent of a slice along one axis, for sizes that may be symbols.
#pragma once

#include "graph/op_schema.h"

namespace tenon::graph::ops {

struct SliceExtent {
  Dim first;  ///< index of the first element taken
  Dim count;
};

/// ONNX's meaning: negative bounds count from the end, bounds beyond the end are clamped. A
/// symbolic bound of unknown sign is taken as not negative, and -1 as inside the axis; both are
/// recorded as constraints. Error(bad_input) for a step of 0, and for a negative step with symbols
/// other than a whole reversed axis.
SliceExtent slice_extent(InferenceContext& context, const Dim& size, const Dim& start,
                         const Dim& end, std::int64_t step);

}  // namespace tenon::graph::ops
