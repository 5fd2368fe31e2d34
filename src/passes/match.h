// Small questions that patterns ask of a graph.
#pragma once

#include <optional>
#include <string_view>

#include "graph/graph.h"

namespace tenon::passes {

using graph::Graph;
using graph::kNoNode;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;

/// Readers of values, counted once for a whole pass: asking the graph each time would be quadratic.
class Readers {
 public:
  explicit Readers(const Graph& graph);
  /// How often the value is read, graph outputs included.
  int count(ValueId value) const { return counts_.at(static_cast<std::size_t>(value)); }
  const std::vector<NodeId>& of(ValueId value) const {
    return nodes_.at(static_cast<std::size_t>(value));
  }

 private:
  std::vector<int> counts_;
  std::vector<std::vector<NodeId>> nodes_;
};

/// The number in a constant of one element, whatever its float or integer type.
std::optional<double> scalar(const Graph& graph, ValueId value);
/// The numbers in an integer constant of at most kMaxContent elements, or content known as numbers.
std::optional<std::vector<std::int64_t>> integers(const Graph& graph, ValueId value);
/// The other input of a two-input node when one is `value`; kNoValue when neither is.
ValueId other_input(const Node& node, ValueId value);
/// Of a commutative node: the input that a node of `op` computes, and the other; nullopt when there
/// is none.
struct Operands {
  const Node* matched;
  ValueId matched_value;
  ValueId other;
};
std::optional<Operands> operand_of(const Graph& graph, const Node& node, std::string_view op);
/// x and c of x * c, c * x or x / c (as 1/c) with c a scalar constant.
struct Scaled {
  ValueId x;
  double factor;
};
std::optional<Scaled> scaled(const Graph& graph, ValueId value);
/// Looks through Cast between float types.
ValueId through_casts(const Graph& graph, ValueId value);
/// Axis made non-negative.
std::int64_t axis_of(const Graph& graph, const Node& node, std::int64_t fallback, ValueId of);
/// begin of a Slice along one axis with step 1, when it is constant; and whether it runs to the
/// end.
struct SliceRange {
  ValueId input;
  std::int64_t axis;
  std::int64_t begin;
  std::int64_t length;
};
std::optional<SliceRange> slice_range(const Graph& graph, ValueId value);
/// The same for an output of Split along an axis whose parts are constant: a Split is many slices.
std::optional<SliceRange> part_of(const Graph& graph, ValueId value);

}  // namespace tenon::passes
