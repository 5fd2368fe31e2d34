// Elements of integer tensors of any rank that can be told without running the model.
#pragma once

#include <optional>
#include <vector>

#include "graph/graph.h"

namespace tenon::onnx {

struct KnownElements {
  Shape shape;
  std::vector<Dim> elements;  ///< row-major
};

/// Looks through the rearrangements that exporters put around sizes: Cast, Identity, Reshape,
/// Transpose, Slice. nullopt where anything else or a computed value is in the way.
std::optional<KnownElements> known_elements(const graph::Graph& graph, graph::ValueId id,
                                            int depth = 0);

}  // namespace tenon::onnx
