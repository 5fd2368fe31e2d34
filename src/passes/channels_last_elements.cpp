// Ops on single elements, channels last: their operands follow.
#include <array>

#include "graph/op_schema.h"
#include "passes/channels_last_rules.h"

namespace tenon::passes {
namespace {

bool element_wise(Graph& graph, Layouts& layouts, NodeId id) {
  const Node node = graph.node(id);
  const std::size_t rank = graph.value(node.outputs[0]).shape.size();
  if (rank < 3) return false;
  std::vector<ValueId> inputs;
  for (const ValueId input : node.inputs) {
    inputs.push_back(input == kNoValue ? kNoValue : layouts.operand(input, rank));
    if (input != kNoValue && inputs.back() == kNoValue) return false;
  }
  graph.node(id).inputs = std::move(inputs);
  layouts.convert(node.outputs[0]);
  return true;
}

constexpr std::array kOps = {
    "Abs",
    "Add",
    "And",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "Greater",
    "HardSigmoid",
    "HardSwish",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "Max",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "PRelu",
    "Pow",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Sum",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
    "Where",
    "Xor",
};

constexpr auto kRows = [] {
  std::array<LayoutRow, kOps.size()> rows{};
  for (std::size_t i = 0; i < kOps.size(); ++i)
    rows[i] = {kOps[i], element_wise, LayoutRow::Wants::all};
  return rows;
}();

}  // namespace

std::span<const LayoutRow> element_layout_rows() { return kRows; }

}  // namespace tenon::passes
