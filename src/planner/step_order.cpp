#include "planner/step_order.h"

#include <algorithm>

namespace tenon::planner {
namespace {

using graph::Graph;
using graph::kNoNode;
using graph::kNoValue;
using graph::NodeId;
using graph::ValueId;

std::size_t at(NodeId id) { return static_cast<std::size_t>(id); }

class Ordering {
 public:
  explicit Ordering(const Graph& graph) : graph_(graph), source_(graph.order()) {
    std::size_t count = 0;
    for (const NodeId id : source_) count = std::max(count, at(id) + 1);
    depth_.assign(count, 0);
    done_.assign(count, false);
    for (const NodeId id : source_) {
      for (const NodeId producer : producers(id))
        depth_[at(id)] = std::max(depth_[at(id)], depth_[at(producer)] + 1);
    }
  }

  std::vector<NodeId> run() {
    for (const ValueId output : graph_.outputs()) {
      if (graph_.value(output).producer != kNoNode) compute(graph_.value(output).producer);
    }
    for (const NodeId id : source_) compute(id);  // what no output needs
    return order_;
  }

 private:
  struct Visit {
    NodeId id;
    std::vector<NodeId> before;
    std::size_t next = 0;
  };

  std::vector<NodeId> producers(NodeId id) const {
    std::vector<NodeId> found;
    for (const ValueId input : graph_.node(id).inputs) {
      if (input == kNoValue) continue;
      const NodeId producer = graph_.value(input).producer;
      if (producer != kNoNode && !graph_.node(producer).removed) found.push_back(producer);
    }
    return found;
  }

  Visit visit(NodeId id) const {
    Visit made{id, producers(id)};
    std::stable_sort(made.before.begin(), made.before.end(),
                     [&](NodeId a, NodeId b) { return depth_[at(a)] > depth_[at(b)]; });
    return made;
  }

  // A stack of our own: graphs are deeper than that of a thread.
  void compute(NodeId wanted) {
    if (done_[at(wanted)]) return;
    std::vector<Visit> stack = {visit(wanted)};
    while (!stack.empty()) {
      Visit& top = stack.back();
      if (top.next < top.before.size()) {
        const NodeId producer = top.before[top.next++];
        if (!done_[at(producer)]) stack.push_back(visit(producer));
        continue;
      }
      if (!done_[at(top.id)]) order_.push_back(top.id);
      done_[at(top.id)] = true;
      stack.pop_back();
    }
  }

  const Graph& graph_;
  std::vector<NodeId> source_;
  std::vector<int> depth_;  // longest chain of nodes before a node
  std::vector<bool> done_;
  std::vector<NodeId> order_;
};

}  // namespace

std::vector<NodeId> step_order(const Graph& graph) { return Ordering(graph).run(); }

}  // namespace tenon::planner
