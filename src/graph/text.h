// The graph as text that people read and the program reads back.
#pragma once

#include <string>
#include <string_view>

#include "graph/graph.h"

namespace tenon::graph {

/// One line a value or node. Constants of at most 64 elements are written out; larger ones appear
/// with type and shape only and come back as zeros.
std::string to_text(const Graph& graph);
/// Error(bad_input) names the line.
Graph from_text(std::string_view text);

}  // namespace tenon::graph
