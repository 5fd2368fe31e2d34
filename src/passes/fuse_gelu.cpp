// The decomposed forms of GELU -> Gelu.
//   exact: 0.5 * x * (1 + erf(x / sqrt 2)), the factors in any order
//   tanh:  0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), likewise
#include <cmath>
#include <numbers>

#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

bool close(double a, double b) { return std::abs(a - b) <= 2e-3 * std::abs(b); }

// A product spread over Mul and Div nodes: its scalar factor and the values that are multiplied.
void collect_factors(const Graph& graph, ValueId value, int depth, double& constant,
                     std::vector<ValueId>& factors) {
  if (depth > 0) {
    if (const auto part = scaled(graph, value)) {
      constant *= part->factor;
      return collect_factors(graph, part->x, depth - 1, constant, factors);
    }
    if (const Node* product = graph.producer_of(value, "Mul")) {
      for (const ValueId input : product->inputs)
        collect_factors(graph, input, depth - 1, constant, factors);
      return;
    }
  }
  factors.push_back(value);
}

// 1 + f(argument): the node of f.
const Node* one_plus(const Graph& graph, ValueId value, const char* function) {
  const Node* sum = graph.producer_of(value, "Add");
  if (sum == nullptr) return nullptr;
  const auto parts = operand_of(graph, *sum, function);
  return parts && scalar(graph, parts->other) == 1.0 ? parts->matched : nullptr;
}

bool is_cube_of(const Graph& graph, ValueId value, ValueId x) {
  if (const Node* power = graph.producer_of(value, "Pow")) {
    return power->inputs[0] == x && scalar(graph, power->inputs[1]) == 3.0;
  }
  double constant = 1;
  std::vector<ValueId> factors;
  collect_factors(graph, value, 3, constant, factors);
  return constant == 1 && factors == std::vector<ValueId>{x, x, x};
}

bool is_exact_argument(const Graph& graph, ValueId argument, ValueId x) {
  const auto part = scaled(graph, argument);
  return part && part->x == x && close(part->factor, 1 / std::numbers::sqrt2);
}

// sqrt(2/pi) * (x + 0.044715 x^3), or with x taken out: sqrt(2/pi) * x * (1 + 0.044715 x^2).
bool is_tanh_argument(const Graph& graph, ValueId argument, ValueId x) {
  const double root = std::sqrt(2 / std::numbers::pi);
  double constant = 1;
  std::vector<ValueId> factors;
  collect_factors(graph, argument, 3, constant, factors);
  if (!close(constant, root)) return false;
  if (factors.size() == 1) {
    const Node* sum = graph.producer_of(factors[0], "Add");
    const ValueId cubic = sum == nullptr ? kNoValue : other_input(*sum, x);
    const auto part = cubic == kNoValue ? std::nullopt : scaled(graph, cubic);
    return part && close(part->factor, 0.044715) && is_cube_of(graph, part->x, x);
  }
  if (factors.size() != 2) return false;
  const ValueId inner = factors[0] == x ? factors[1] : factors[1] == x ? factors[0] : kNoValue;
  const Node* sum = inner == kNoValue ? nullptr : graph.producer_of(inner, "Add");
  if (sum == nullptr) return false;
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    if (scalar(graph, sum->inputs[side]) != 1.0) continue;
    double weight = 1;
    std::vector<ValueId> squares;
    collect_factors(graph, sum->inputs[1 - side], 3, weight, squares);
    if (close(weight, 0.044715) && squares == std::vector<ValueId>{x, x}) return true;
  }
  return false;
}

}  // namespace

int fuse_gelu(Graph& graph, const PassContext&) {
  int fused = 0;
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "Mul" && node.op->name != "Div") continue;
    double constant = 1;
    std::vector<ValueId> factors;
    collect_factors(graph, node.outputs[0], 3, constant, factors);
    if (factors.size() != 2 || std::abs(constant - 0.5) > 1e-6) continue;
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const ValueId x = factors[1 - side];
      const Node* error = one_plus(graph, factors[side], "Erf");
      const Node* tangent = one_plus(graph, factors[side], "Tanh");
      Attributes attributes;
      if (tangent != nullptr && is_tanh_argument(graph, tangent->inputs[0], x)) {
        attributes.set("approximate", std::string("tanh"));
      } else if (error == nullptr || !is_exact_argument(graph, error->inputs[0], x)) {
        continue;
      }
      if (!replace_with(graph, node.outputs[0], "Gelu", node.name, {x}, attributes, node.module))
        continue;
      ++fused;
      break;
    }
  }
  return fused;
}

}  // namespace tenon::passes
