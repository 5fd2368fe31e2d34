#include "passes/heads.h"

#include "graph/op_schema.h"

namespace tenon::passes {
namespace {

// [batch, sequence, heads, width] that a reshape made of rows.
std::optional<HeadLayout> from_reshaped(const Graph& graph, ValueId value) {
  const Node* reshape = graph.producer_of(value, "Reshape");
  if (reshape == nullptr) return std::nullopt;
  const ValueId rows = reshape->inputs[0];
  const auto& flat = graph.value(rows).shape;
  const auto& parted = graph.value(value).shape;
  if (flat.size() != 3 || parted.size() != 4) return std::nullopt;
  const auto width = parted[3].constant();
  if (!width || parted[0] != flat[0] || parted[1] != flat[1] || parted[2] * parted[3] != flat[2])
    return std::nullopt;
  return HeadLayout{rows, 0, *width};
}

}  // namespace

std::optional<HeadLayout> trace_heads(const Graph& graph, ValueId heads) {
  std::int64_t offset = 0;
  bool transposed = false;
  ValueId at = heads;
  for (int depth = 0; depth < 8; ++depth) {
    const auto rank = static_cast<std::int64_t>(graph.value(at).shape.size());
    if (const auto part = part_of(graph, at); part && part->axis + 1 == rank) {
      offset += part->begin;
      at = part->input;
      continue;
    }
    if (const Node* transpose = graph.producer_of(at, "Transpose");
        transpose != nullptr && !transposed) {
      if (transpose->attributes.get_ints("perm") != std::vector<std::int64_t>{0, 2, 1, 3})
        return std::nullopt;
      transposed = true;
      at = transpose->inputs[0];
      continue;
    }
    if (!transposed) return std::nullopt;
    auto layout = from_reshaped(graph, at);
    if (!layout) return std::nullopt;
    layout->offset += offset;
    // Rows may themselves be a part of wider rows.
    if (const auto part = part_of(graph, layout->rows); part && part->axis == 2) {
      layout->offset += part->begin;
      layout->rows = part->input;
    }
    return layout;
  }
  return std::nullopt;
}

NodeId only_reader(const Graph& graph, const Readers& readers, ValueId value) {
  int left = readers.count(value);
  NodeId only = kNoNode;
  for (const NodeId id : readers.of(value)) {
    if (graph.node(id).op->name == "Shape") {
      --left;
    } else {
      only = id;
    }
  }
  return left == 1 ? only : kNoNode;
}

}  // namespace tenon::passes
