// The inputs of tenon.Conv by name.
#pragma once

#include "passes/match.h"

namespace tenon::passes::conv {

enum Input : std::size_t { kX, kWeight, kBias, kResidual, kImageBias, kScaleShift, kX2 };

inline bool has(const Node& node, std::size_t input) {
  return node.inputs.size() > input && node.inputs[input] != kNoValue;
}

/// Puts the value there, with absent inputs before it where the node has fewer.
inline void set_input(Graph& graph, NodeId id, std::size_t input, ValueId value) {
  auto& inputs = graph.node(id).inputs;
  if (inputs.size() <= input) inputs.resize(input + 1, kNoValue);
  graph.set_input(id, input, value);
}

}  // namespace tenon::passes::conv
