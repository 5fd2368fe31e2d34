// Where the heads of an attention lie in the rows that a product wrote.
#pragma once

#include <optional>

#include "passes/match.h"

namespace tenon::passes {

/// Element (batch, head, token, i) of a 4-D value is element offset + head * head_stride + i of row
/// (batch, token) of `rows` [batch, sequence, width].
struct HeadLayout {
  ValueId rows;
  std::int64_t offset;
  std::int64_t head_stride;
};

/// Follows Transpose, Reshape, Split and Slice back from [batch, heads, sequence, head_dim] to the
/// rows.
std::optional<HeadLayout> trace_heads(const Graph& graph, ValueId heads);

/// The one node that reads the value, apart from those that ask for its sizes; kNoNode when there
/// are several, or it is an output of the graph.
NodeId only_reader(const Graph& graph, const Readers& readers, ValueId value);

}  // namespace tenon::passes
