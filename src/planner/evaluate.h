// Computes values of a graph with the reference kernels, node by node: for folding and for probing.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace tenon::planner {

/// Tensors for `wanted`, in order. `feeds` holds a tensor for each input that they depend on.
/// Error(bad_input) names the node that has no reference kernel for its types, a feed of another
/// type or shape, or the sizes that should be equal and are not.
std::vector<Tensor> evaluate(const graph::Graph& graph, std::span<const graph::ValueId> wanted,
                             const std::map<graph::ValueId, Tensor>& feeds);

}  // namespace tenon::planner
