// Which kernels a step runs on and how its constants are kept for them.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "graph/graph.h"
#include "passes/target.h"
#include "planner/tuning.h"

namespace tenon::planner {

struct KernelChoice {
  std::vector<engine::Choice> kernels;
  std::string weight_format;   ///< of input 1; "" for plain
  std::vector<DType> storage;  ///< type in which each constant input is kept
  std::size_t page_bytes = 0;  ///< of one cache page, for attention with state
};

/// With a tuner the kernels that measure fastest, else the most specialised one. Error(bad_input)
/// names the node, its op and types when no kernel of the target takes it.
KernelChoice choose_kernel(const graph::Graph& graph, const graph::Node& node, const Target& target,
                           Tuner* tuner = nullptr);

}  // namespace tenon::planner
