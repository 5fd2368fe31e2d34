// The order in which the nodes of a graph become steps.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace tenon::planner {

/// All nodes, each after the producers of its inputs, so that values are computed shortly before
/// they are first read: of a node's inputs the one with the longest chain behind it is computed
/// first, and what is quickly made, or needed late, waits. Few values then lie in memory at a time.
std::vector<graph::NodeId> step_order(const graph::Graph& graph);

}  // namespace tenon::planner
