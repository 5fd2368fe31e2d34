#include "planner/describe.h"

#include "graph/op_schema.h"

namespace tenon::planner {

kernels::StepDescription describe(const graph::Graph& graph, const graph::Node& node) {
  kernels::StepDescription description;
  description.op = node.op->name;
  description.attributes = &node.attributes;
  const auto operand = [&](graph::ValueId id) {
    kernels::StepDescription::Operand made;
    made.present = id != graph::kNoValue;
    if (!made.present) return made;
    const graph::Value& value = graph.value(id);
    made.dtype = value.dtype;
    for (const Dim& dim : value.shape) made.shape.push_back(dim.constant().value_or(-1));
    made.constant = value.constant != nullptr;
    return made;
  };
  for (const auto id : node.inputs) description.inputs.push_back(operand(id));
  for (const auto id : node.outputs) description.outputs.push_back(operand(id));
  return description;
}

const kernels::KernelRow* reference_row(const kernels::StepDescription& description) {
  const kernels::KernelRow* found = nullptr;
  for (const kernels::KernelRow* row : kernels::rows_for(description.op)) {
    if (row->isa == Isa::none && row->weight_format.empty() && row->accepts(description))
      found = row;
  }
  return found;
}

}  // namespace tenon::planner
