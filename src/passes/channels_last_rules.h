// How single nodes are rewritten when what they read lies channels last.
#pragma once

#include "passes/layouts.h"

namespace tenon::passes {

/// Rewrites the node in place so that it reads channels-last values, and marks its outputs
/// converted where they are channels last then. False, with nothing changed but values that nothing
/// reads, when it cannot: then the node reads what it did before, channels first.
using LayoutRule = bool (*)(Graph& graph, Layouts& layouts, NodeId id);

struct LayoutRow {
  std::string_view op;
  LayoutRule apply;
  /// Whether channels-last outputs want channels-last inputs: all of them, the first, or none.
  enum class Wants { all, first, none } wants;
};

/// nullptr for an op that takes channels first only.
const LayoutRow* find_layout_row(std::string_view op);

/// The rows, by what the ops do.
std::span<const LayoutRow> element_layout_rows();  // one element at a time, broadcasting
std::span<const LayoutRow> axis_layout_rows();     // along axes: Concat, Softmax, Resize, Pad ...
std::span<const LayoutRow> shape_layout_rows();    // Transpose, Reshape, Shape
std::span<const LayoutRow> norm_layout_rows();     // GroupNormalization and its like

/// Conv -> tenon.Conv. Not a row: it asks for channels last itself.
bool can_convert_conv(const Graph& graph, const Layouts& layouts, const Node& node);
void convert_conv(Graph& graph, Layouts& layouts, NodeId id);

/// The node becomes another op in place; the caller sees to its outputs.
void become(Graph& graph, NodeId id, std::string_view op, std::vector<ValueId> inputs,
            Attributes attributes);

}  // namespace tenon::passes
