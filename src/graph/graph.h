// The model as a graph in SSA form. Every value has a name, an element type and a shape, always.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/attributes.h"
#include "tensor/dim.h"
#include "tensor/source.h"

namespace tenon::graph {

struct OpSchema;

enum class ValueId : std::int32_t {};
enum class NodeId : std::int32_t {};
/// Stands where an optional input or output is left out.
inline constexpr ValueId kNoValue{-1};
inline constexpr NodeId kNoNode{-1};

/// What is written, once: a graph input, a constant, or an output of one node.
struct Value {
  std::string name;  ///< unique in the graph; survives every rewrite that keeps the meaning
  DType dtype = DType::f32;
  DimShape shape;
  SourcePtr constant;  ///< set for constants only
  NodeId producer = kNoNode;
  /// The elements, where they are known as dims: int64, int32 and bool (0 or 1) values of at most
  /// kMaxContent elements, row-major, which is what shapes are computed with.
  std::optional<std::vector<Dim>> content;
};
inline constexpr std::int64_t kMaxContent = 64;

struct Node {
  std::string name;    ///< unique; "" only before it is added
  std::string module;  ///< the module of the source model, e.g. model.layers.3.self_attn
  const OpSchema* op = nullptr;
  std::vector<ValueId> inputs;  ///< kNoValue where an optional one is absent
  std::vector<ValueId> outputs;
  Attributes attributes;
  bool removed = false;
};

/// A size relation that inference had to assume, checked when sizes are bound.
struct Constraint {
  Dim a;
  Dim b;
  std::string where;
  bool operator==(const Constraint&) const = default;
};

/// Mutated by importers, builders and passes on one thread; ids stay valid until `tidy`.
/// Invariant after each public call: types and shapes of all outputs are what the op's inference
/// says.
class Graph {
 public:
  std::string name;

  /// `name` is made unique by a suffix when it is taken.
  ValueId add_input(std::string_view name, DType dtype, DimShape shape);
  ValueId add_constant(std::string_view name, SourcePtr source);
  ValueId add_constant(std::string_view name, Tensor tensor);
  /// Infers the outputs. `output_names` may be shorter than the outputs; the rest are derived from
  /// the node's name. An empty name leaves an optional output out. Error(bad_input) carries the
  /// node's name, the op and the shapes, and leaves the graph without the node.
  NodeId add_node(Node node, std::span<const std::string> output_names = {});
  /// The common case of one output.
  ValueId add(std::string_view op, std::string_view name, std::vector<ValueId> inputs,
              Attributes attributes = {}, std::string_view module = {});
  /// The value takes the name. A graph input or a value that is an output already keeps its own:
  /// an Identity is put behind it.
  void mark_output(ValueId value, std::string_view name);

  const Value& value(ValueId id) const { return values_[static_cast<std::size_t>(id)]; }
  const Node& node(NodeId id) const { return nodes_[static_cast<std::size_t>(id)]; }
  Value& value(ValueId id) { return values_[static_cast<std::size_t>(id)]; }
  Node& node(NodeId id) { return nodes_[static_cast<std::size_t>(id)]; }
  /// All node ids that are not removed, each after the producers of its inputs.
  std::vector<NodeId> order() const;
  std::size_t value_count() const { return values_.size(); }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  std::optional<ValueId> find_value(std::string_view name) const;
  /// Nodes that read the value, each once; graph outputs do not count.
  std::vector<NodeId> readers(ValueId value) const;
  bool is_output(ValueId value) const;
  bool is_constant(ValueId value) const {
    return value != kNoValue && this->value(value).constant != nullptr;
  }
  /// Producer when it is of that op, else nullptr.
  const Node* producer_of(ValueId value, std::string_view op) const;

  /// Every reader of `from` (and the output list) takes `to` instead. When `from` is an output or
  /// has the better name, `to` inherits it: names that users know survive. An output stays a value
  /// of its own: when `to` is a graph input or an output itself, an Identity is put behind it.
  /// Inference is the caller's (`infer_again`) when type, shape or content differ, here and in
  /// `set_input`.
  void replace_value(ValueId from, ValueId to);
  /// Gives the value this name, made unique when it is taken.
  void rename_value(ValueId value, std::string_view name);
  void remove_node(NodeId id);
  void remove_input(ValueId id);
  /// Forgets all outputs after the first `count`.
  void keep_outputs(std::size_t count) { outputs_.resize(count); }
  void set_input(NodeId node, std::size_t index, ValueId value);
  /// Removes nodes without effect on the outputs and renumbers everything compactly in execution
  /// order.
  void tidy();
  /// Runs inference again over all nodes, after input shapes or attributes were changed.
  void infer_again();
  /// Puts dims in place of symbols everywhere and infers again.
  void substitute(const std::map<std::string, Dim, std::less<>>& replacements);

  std::vector<Constraint> constraints;

 private:
  std::string unique(std::string_view wanted);
  ValueId add_value(Value value);
  void infer(NodeId id);
  void drop(NodeId id);
  /// Graph inputs and outputs are known to users by the names of their values.
  bool owns_its_name(ValueId id) const;

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> outputs_;
  std::map<std::string, ValueId, std::less<>> by_name_;
  std::map<std::string, int, std::less<>> node_names_;
};

/// Checks every invariant: single assignment, no cycle, arity, attributes known to the op, types
/// and shapes as inferred. Error(internal) names the node: run after each pass.
void verify(const Graph& graph);

}  // namespace tenon::graph
