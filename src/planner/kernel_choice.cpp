#include "planner/kernel_choice.h"

#include "base/error.h"
#include "graph/op_schema.h"
#include "kernels/kernel.h"
#include "planner/describe.h"

namespace tenon::planner {
namespace {

using graph::Node;

DType weight_type(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return DType::f32;
    case Precision::bf16:
      return DType::bf16;
    case Precision::int8:
      return DType::i8;
  }
  return DType::f32;
}

// The type in which a constant input costs least without changing what is computed. Products and
// table look-ups read narrow floats as they are; a build for bf16 or int8 keeps its tables in bf16.
DType storage_type(const graph::Graph& graph, const Node& node, std::size_t input,
                   const Target& target) {
  const graph::Value& value = graph.value(node.inputs[input]);
  const std::string_view op = node.op->name;
  const bool reads_narrow = (op == "Gather" && input == 0) || (op == "MatMul" && input == 1) ||
                            ((op == "tenon.Linear" || op == "tenon.Conv") && input == 1);
  if (!reads_narrow || value.dtype != DType::f32) return value.dtype;
  const DType exact = value.constant->narrowest();
  const bool policy_is_narrow = !target.reference && target.precision != Precision::fp32;
  return policy_is_narrow && exact == DType::f32 ? DType::bf16 : exact;
}

bool format_suits(const kernels::KernelRow& row, const Target& target) {
  if (row.weight_format.empty()) return true;
  const kernels::PackedFormat* format = kernels::find_format(row.weight_format);
  return format != nullptr && format->dtype == weight_type(target.precision);
}

// The step as the row would see it: with the weight in the row's format.
kernels::StepDescription packed_for(const kernels::KernelRow& row,
                                    kernels::StepDescription description) {
  if (row.weight_format.empty()) return description;
  description.inputs[1].format = row.weight_format;
  description.inputs[1].dtype = kernels::find_format(row.weight_format)->dtype;
  return description;
}

bool row_suits(const kernels::KernelRow& row, const kernels::StepDescription& description,
               const Target& target) {
  if (target.reference)
    return row.isa == Isa::none && row.weight_format.empty() && row.accepts(description);
  if (row.isa > target.isa || !format_suits(row, target)) return false;
  const bool packable = description.inputs.size() > 1 && description.inputs[1].constant;
  return (row.weight_format.empty() || packable) && row.accepts(packed_for(row, description));
}

using Rows = std::vector<const kernels::KernelRow*>;

// The most specialised first. All read the weight in the form that the first one does, and the
// plain reference is no rival of a fast kernel.
Rows rows_that_suit(const kernels::StepDescription& description, const Target& target) {
  Rows suiting;
  for (const kernels::KernelRow* row : kernels::rows_for(description.op)) {
    if (!row_suits(*row, description, target)) continue;
    const bool rival = suiting.empty() ||
                       (row->weight_format == suiting[0]->weight_format && row->isa != Isa::none);
    if (rival) suiting.push_back(row);
    if (target.reference) suiting = {row};  // the plain reference comes last
  }
  return suiting;
}

std::vector<DimShape> shapes_of(const graph::Graph& graph,
                                const std::vector<graph::ValueId>& values) {
  std::vector<DimShape> shapes;
  for (const auto id : values)
    shapes.push_back(id == graph::kNoValue ? DimShape() : graph.value(id).shape);
  return shapes;
}

}  // namespace

KernelChoice choose_kernel(const graph::Graph& graph, const Node& node, const Target& target,
                           Tuner* tuner) {
  KernelChoice choice;
  kernels::StepDescription description = describe(graph, node);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const bool constant = node.inputs[i] != graph::kNoValue && graph.is_constant(node.inputs[i]);
    choice.storage.push_back(constant ? storage_type(graph, node, i, target) : DType::f32);
    if (constant) description.inputs[i].dtype = choice.storage[i];
  }
  const Rows rows = rows_that_suit(description, target);
  if (rows.empty()) {
    std::string types;
    for (const auto& input : description.inputs)
      types += fmt::format(" {}", input.present ? dtype_name(input.dtype) : "-");
    bad_input("node {}: no kernel for {} of{}", node.name, node.op->name, types);
  }
  const kernels::KernelRow& first = *rows[0];
  choice.weight_format = first.weight_format;
  if (!choice.weight_format.empty())
    choice.storage[1] = kernels::find_format(choice.weight_format)->dtype;
  if (tuner != nullptr) {
    choice.kernels = tuner->choose(packed_for(first, description), shapes_of(graph, node.inputs),
                                   shapes_of(graph, node.outputs), rows);
  } else {
    choice.kernels.push_back({std::string(first.name)});
  }
  if (first.page_bytes != nullptr) choice.page_bytes = first.page_bytes(description);
  return choice;
}

}  // namespace tenon::planner
