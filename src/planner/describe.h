// A node of a graph as a kernel is told of it.
#pragma once

#include "graph/graph.h"
#include "kernels/kernel.h"

namespace tenon::planner {

/// Sizes that depend on symbols are -1.
kernels::StepDescription describe(const graph::Graph& graph, const graph::Node& node);

/// The last row for the op that takes the description: the plain reference; nullptr when none does.
const kernels::KernelRow* reference_row(const kernels::StepDescription& description);

}  // namespace tenon::planner
