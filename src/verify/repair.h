// Which steps of a float16 model must be kept in float32 so that nothing overflows: found by
// trying.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "verify/tensor_subject.h"

namespace tenon::verify {

/// The graph with these nodes (by name) computed in float32: their float16 inputs are widened and
/// their outputs narrowed again, except from one of them to the next.
void keep_in_float32(graph::Graph& graph, const std::vector<std::string>& nodes);

struct Float32Repair {
  std::vector<std::string> nodes;  ///< by name; none can be left out
  double relative = 0;             ///< relative error of all outputs that is left
  std::int64_t tried = 0;          ///< runs that it took
};

/// Runs the graph, widens the step that first gives NaN or infinity, or what reads it where its
/// result does not fit, and again until all outputs are finite; then leaves out what is not needed.
/// nullopt when it does not end within 64 runs, float32 overflows too, or the outputs are not those
/// of `wanted` to 5 %. `make` gives the graph anew.
std::optional<Float32Repair> find_float32_repair(const std::function<graph::Graph()>& make,
                                                 const session::TensorMap& inputs,
                                                 const session::TensorMap& wanted,
                                                 backend::Backend& backend);

}  // namespace tenon::verify
