// Pictures channels last: Conv becomes tenon.Conv, and everything between convolutions follows, so
// that values change their order at most where they enter and leave the graph.
#include <algorithm>

#include "graph/op_schema.h"
#include "passes/channels_last_rules.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

using Wants = LayoutRow::Wants;

// Outputs of the graph keep name and order: each becomes the output of a node that nothing else
// reads.
void guard_outputs(Graph& graph) {
  const std::vector<ValueId> outputs = graph.outputs();
  for (const ValueId output : outputs) {
    if (!graph.is_output(output) || graph.value(output).producer == kNoNode) continue;
    const std::vector<NodeId> readers = graph.readers(output);
    const ValueId guard = graph.add("Identity", graph.value(output).name + ".guard", {output});
    graph.replace_value(output, guard);
    graph.set_input(graph.value(guard).producer, 0, output);
    for (const NodeId reader : readers) {
      for (ValueId& input : graph.node(reader).inputs) {
        if (input == guard) input = output;
      }
    }
  }
}

void drop_identities(Graph& graph) {
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "Identity") continue;
    const ValueId value = node.inputs[0];
    const bool fixed = graph.value(value).producer == kNoNode || graph.is_output(value);
    if (graph.is_output(node.outputs[0]) && fixed) continue;
    graph.replace_value(node.outputs[0], value);
    graph.remove_node(id);
  }
}

class Walk {
 public:
  explicit Walk(Graph& graph)
      : graph_(graph), layouts_(graph), order_(graph.order()), wanted_(graph.value_count(), false) {
    find_wanted();
  }

  int run() {
    for (const NodeId id : order_) {
      if (can_convert_conv(graph_, layouts_, graph_.node(id))) {
        convert_conv(graph_, layouts_, id);
        ++converted_;
        continue;
      }
      const LayoutRow* row = find_layout_row(graph_.node(id).op->name);
      if (row != nullptr && is_called(graph_.node(id), *row) && row->apply(graph_, layouts_, id)) {
        ++converted_;
        continue;
      }
      for (std::size_t i = 0; i < graph_.node(id).inputs.size(); ++i)
        graph_.set_input(id, i, layouts_.first(graph_.node(id).inputs[i]));
    }
    return converted_;
  }

 private:
  bool is_wanted(ValueId value) const {
    const auto at = static_cast<std::size_t>(value);
    return value != kNoValue && at < wanted_.size() && wanted_[at];
  }
  bool any_wanted(const Node& node) const {
    return std::any_of(node.outputs.begin(), node.outputs.end(),
                       [&](ValueId output) { return is_wanted(output); });
  }
  static std::size_t asked(const Node& node, Wants wants) {
    return wants == Wants::all ? node.inputs.size() : std::min<std::size_t>(1, node.inputs.size());
  }
  bool has_order(ValueId value) const {
    return value != kNoValue && graph_.value(value).shape.size() >= 3;
  }

  // What convolutions read, and what is computed only for that.
  void find_wanted() {
    for (auto id = order_.rbegin(); id != order_.rend(); ++id) {
      const Node& node = graph_.node(*id);
      const LayoutRow* row = find_layout_row(node.op->name);
      if (can_convert_conv(graph_, layouts_, node)) {
        wanted_[static_cast<std::size_t>(node.inputs[0])] = true;
      } else if (row != nullptr && row->wants != Wants::none && any_wanted(node)) {
        for (std::size_t i = 0; i < asked(node, row->wants); ++i) {
          if (has_order(node.inputs[i])) wanted_[static_cast<std::size_t>(node.inputs[i])] = true;
        }
      }
    }
  }

  // A node follows what it reads, or what reads it where that moves no more values than before.
  bool is_called(const Node& node, const LayoutRow& row) const {
    std::size_t moved = 0;
    bool paired = false;
    for (std::size_t i = 0; i < asked(node, row.wants); ++i) {
      const ValueId input = node.inputs[i];
      if (!has_order(input)) continue;
      if (layouts_.is_converted(input)) return true;
      paired = paired || layouts_.has_last(input);
      if (!graph_.is_constant(input)) ++moved;
    }
    if (row.op == "Transpose") return true;  // may be what brings channels first
    return any_wanted(node) && (paired || moved <= 1);
  }

  Graph& graph_;
  Layouts layouts_;
  std::vector<NodeId> order_;
  std::vector<bool> wanted_;
  int converted_ = 0;
};

bool has_convolution(Graph& graph) {
  const Layouts layouts(graph);
  const auto order = graph.order();
  return std::any_of(order.begin(), order.end(),
                     [&](NodeId id) { return can_convert_conv(graph, layouts, graph.node(id)); });
}

}  // namespace

int channels_last(Graph& graph, const PassContext&) {
  if (!has_convolution(graph)) return 0;
  guard_outputs(graph);
  const int converted = Walk(graph).run();
  drop_identities(graph);
  graph.infer_again();
  return converted;
}

}  // namespace tenon::passes
