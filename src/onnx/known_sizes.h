// Sizes that a file leaves open although only one number fits.
#pragma once

#include "graph/graph.h"

namespace tenon::onnx {

/// Puts the number in place of every symbol that a constraint sets equal to one, such as channels
/// that an exporter named and a convolution's weight decides. Error(bad_input) where two numbers
/// contradict each other.
void fix_known_sizes(graph::Graph& graph);

}  // namespace tenon::onnx
