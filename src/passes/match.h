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
  /// How often the value is read, graph outputs included; kUnknown for a value made since.
  int count(ValueId value) const {
    const auto at = static_cast<std::size_t>(value);
    return at < counts_.size() ? counts_[at] : kUnknown;
  }
  static constexpr int kUnknown = 1 << 30;
  /// None for a value made since.
  const std::vector<NodeId>& of(ValueId value) const {
    static const std::vector<NodeId> none;
    const auto at = static_cast<std::size_t>(value);
    return at < nodes_.size() ? nodes_[at] : none;
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
/// x and c of x * c, c * x or x / c (as 1/c) with c a scalar constant, in the shape of x.
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

/// The name by which products and convolutions know the activation that the node computes; "" when
/// they know none.
std::string activation_name(const Node& node);
/// Whether `value` is computed with the help of `from`: then it cannot be an input of what computes
/// `from`.
bool depends_on(const Graph& graph, ValueId value, ValueId from);

/// A new node of `op` takes the place of `old`, name and readers. False, with the graph as it was,
/// when the op does not take these inputs or gives another type or shape: then what was matched is
/// not what the op computes.
bool replace_with(Graph& graph, ValueId old, std::string_view op, std::string_view name,
                  std::vector<ValueId> inputs, Attributes attributes, std::string_view module);

}  // namespace tenon::passes
