// Rewrites of a graph that keep its meaning: one file each, one ordered list, each named, timed,
// skippable and verified after.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "passes/target.h"

namespace tenon::passes {

using graph::Graph;
using graph::NodeId;
using graph::ValueId;

/// Computes values of a graph by the reference kernels, from tensors for the inputs that they
/// depend on. Given to the passes from outside, so that they need no kernels.
using Evaluate = std::function<std::vector<Tensor>(
    const Graph& graph, std::span<const ValueId> wanted, const std::map<ValueId, Tensor>& feeds)>;

struct PassContext {
  Target target;
  Evaluate evaluate;
};

struct Pass {
  std::string_view name;
  std::string_view what;  ///< one line for `--help`
  /// Returns how many places were rewritten. Leaves the graph valid; need not tidy.
  int (*run)(Graph& graph, const PassContext& context);
};

/// In the order in which they run; the list says what must come before what.
std::span<const Pass> all_passes();

struct PassReport {
  std::string name;
  int rewrites = 0;
  double seconds = 0;
  std::size_t nodes_after = 0;
  bool skipped = false;
};

/// Runs the list on the graph. `dump` (may be empty) takes NN-name.txt after every pass.
/// Error(usage) for a skipped name that no pass has.
std::vector<PassReport> optimize(Graph& graph, const PassContext& context,
                                 const std::filesystem::path& dump = {});

}  // namespace tenon::passes
