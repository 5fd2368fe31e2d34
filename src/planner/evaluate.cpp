#include "planner/evaluate.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/thread_pool.h"
#include "graph/op_schema.h"
#include "planner/describe.h"

namespace tenon::planner {
namespace {

using graph::Graph;
using graph::kNoNode;
using graph::kNoValue;
using graph::Node;
using graph::ValueId;

class Evaluation {
 public:
  Evaluation(const Graph& graph, const std::map<ValueId, Tensor>& feeds)
      : graph_(graph), feeds_(feeds) {
    for (const auto& [id, tensor] : feeds) bind(graph.value(id), tensor);
    for (const auto& [id, tensor] : feeds) check(graph.value(id), tensor);
  }

  // Kernels trust the sizes: what inference had to assume of these nodes must hold before one runs.
  void check_assumptions(const std::set<std::string_view>& nodes) const {
    for (const auto& constraint : graph_.constraints) {
      if (nodes.contains(constraint.where)) check(constraint);
    }
  }

  void run(const Node& node) {
    kernels::StepDescription description = describe(graph_, node);
    kernels::Invocation invocation;
    std::vector<TensorView> inputs;
    std::vector<Shape> shapes;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      inputs.push_back(node.inputs[i] == kNoValue ? TensorView{} : get(node.inputs[i]));
      shapes.push_back(inputs.back().shape);
      if (node.inputs[i] != kNoValue) description.inputs[i].shape = inputs.back().shape;
    }
    std::vector<kernels::MutableTensorView> outputs;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      outputs.emplace_back();
      if (node.outputs[i] == kNoValue) continue;
      const graph::Value& value = graph_.value(node.outputs[i]);
      Tensor& made = computed_[node.outputs[i]] =
          Tensor(value.dtype, tenon::evaluate(value.shape, sizes_));
      outputs.back() = {value.dtype, made.shape(), made.data()};
      description.outputs[i].shape = made.shape();
    }
    const kernels::KernelRow* row = reference_row(description);
    if (row == nullptr)
      bad_input("node {}: operator {} has no kernel for these types", node.name, node.op->name);
    Tensor workspace(DType::u8,
                     {row->workspace == nullptr
                          ? 0
                          : static_cast<std::int64_t>(row->workspace(description, shapes, 1))});
    invocation.inputs = inputs;
    invocation.outputs = outputs;
    invocation.workspace = workspace.data();
    invocation.pool = &pool_;
    row->bind(description)(invocation);
  }

  TensorView get(ValueId id) {
    if (const auto fed = feeds_.find(id); fed != feeds_.end()) return fed->second.view();
    if (const auto found = computed_.find(id); found != computed_.end())
      return found->second.view();
    const graph::Value& value = graph_.value(id);
    if (!value.constant) bad_input("value {} was not given", value.name);
    return (computed_[id] = value.constant->load()).view();
  }

 private:
  void bind(const graph::Value& value, const Tensor& tensor) {
    const DimShape& dims = value.shape;
    const Shape& shape = tensor.shape();
    if (shape.size() != dims.size() || tensor.dtype() != value.dtype) {
      bad_input("value {} is {} {}, expected {} {}", value.name, dtype_name(tensor.dtype()),
                to_string(shape), dtype_name(value.dtype), to_string(dims));
    }
    for (std::size_t i = 0; i < dims.size(); ++i) {
      const auto names = dims[i].symbols();
      if (names.size() == 1 && dims[i] == Dim::symbol(names[0]))
        sizes_.emplace(names[0], shape.at(i));
    }
  }

  void check(const graph::Value& value, const Tensor& tensor) const {
    const Shape expected = tenon::evaluate(value.shape, sizes_);
    if (expected == tensor.shape()) return;
    bad_input("value {} is {}, expected {} = {}", value.name, to_string(tensor.shape()),
              to_string(value.shape), to_string(expected));
  }
  void check(const graph::Constraint& constraint) const {
    const std::int64_t a = constraint.a.evaluate(sizes_);
    const std::int64_t b = constraint.b.evaluate(sizes_);
    if (a == b) return;
    bad_input("{}: {} is {} and {} is {}, they must be equal", constraint.where,
              constraint.a.to_string(), a, constraint.b.to_string(), b);
  }

  const Graph& graph_;
  const std::map<ValueId, Tensor>& feeds_;
  std::map<ValueId, Tensor> computed_;
  Dim::Bindings sizes_;
  ThreadPool pool_{1};
};

}  // namespace

std::vector<Tensor> evaluate(const Graph& graph, std::span<const ValueId> wanted,
                             const std::map<ValueId, Tensor>& feeds) {
  std::vector<bool> needed(graph.value_count(), false);
  std::vector<ValueId> pending(wanted.begin(), wanted.end());
  while (!pending.empty()) {
    const ValueId id = pending.back();
    pending.pop_back();
    if (id == kNoValue || needed[static_cast<std::size_t>(id)]) continue;
    needed[static_cast<std::size_t>(id)] = true;
    if (feeds.contains(id) || graph.value(id).producer == kNoNode) continue;
    const auto& inputs = graph.node(graph.value(id).producer).inputs;
    pending.insert(pending.end(), inputs.begin(), inputs.end());
  }
  Evaluation evaluation(graph, feeds);
  std::vector<graph::NodeId> chosen;
  std::set<std::string_view> names;
  for (const auto id : graph.order()) {
    const Node& node = graph.node(id);
    const bool wanted_here =
        std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId output) {
          return output != kNoValue && needed[static_cast<std::size_t>(output)] &&
                 !feeds.contains(output);
        });
    if (!wanted_here) continue;
    chosen.push_back(id);
    names.insert(node.name);
  }
  evaluation.check_assumptions(names);
  for (const auto id : chosen) evaluation.run(graph.node(id));
  std::vector<Tensor> results;
  for (const ValueId id : wanted)
    results.push_back(id == kNoValue ? Tensor() : Tensor::copy_of(evaluation.get(id)));
  return results;
}

}  // namespace tenon::planner
