#include "passes/match.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "graph/op_schema.h"
#include "tensor/tensor.h"

namespace tenon::passes {

Readers::Readers(const Graph& graph)
    : counts_(graph.value_count(), 0), nodes_(graph.value_count()) {
  for (const NodeId id : graph.order()) {
    for (const ValueId input : graph.node(id).inputs) {
      if (input == kNoValue) continue;
      auto& list = nodes_[static_cast<std::size_t>(input)];
      ++counts_[static_cast<std::size_t>(input)];
      if (list.empty() || list.back() != id) list.push_back(id);
    }
  }
  for (const ValueId output : graph.outputs()) ++counts_[static_cast<std::size_t>(output)];
}

std::optional<double> scalar(const Graph& graph, ValueId value) {
  if (!graph.is_constant(value)) return std::nullopt;
  const auto& source = graph.value(value).constant;
  if (element_count(source->shape()) != 1) return std::nullopt;
  const Tensor number = converted(source->load().view(), DType::f64);
  return number.as<double>()[0];
}

std::optional<std::vector<std::int64_t>> integers(const Graph& graph, ValueId value) {
  if (value == kNoValue || !graph.value(value).content) return std::nullopt;
  return constant_shape(*graph.value(value).content);
}

ValueId other_input(const Node& node, ValueId value) {
  if (node.inputs.size() != 2) return kNoValue;
  if (node.inputs[0] == value) return node.inputs[1];
  if (node.inputs[1] == value) return node.inputs[0];
  return kNoValue;
}

std::optional<Operands> operand_of(const Graph& graph, const Node& node, std::string_view op) {
  if (node.inputs.size() != 2) return std::nullopt;
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    if (const Node* found = graph.producer_of(node.inputs[side], op)) {
      return Operands{found, node.inputs[side], node.inputs[1 - side]};
    }
  }
  return std::nullopt;
}

std::optional<Scaled> scaled(const Graph& graph, ValueId value) {
  // A scalar of more dimensions than x would add some; that of integers is not a factor.
  const auto keeps_shape = [&](ValueId x) {
    return graph.value(x).shape == graph.value(value).shape && is_float(graph.value(x).dtype);
  };
  if (const Node* product = graph.producer_of(value, "Mul")) {
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const auto factor = scalar(graph, product->inputs[side]);
      if (factor && keeps_shape(product->inputs[1 - side]))
        return Scaled{product->inputs[1 - side], *factor};
    }
  }
  if (const Node* quotient = graph.producer_of(value, "Div")) {
    const auto divisor = scalar(graph, quotient->inputs[1]);
    if (divisor && *divisor != 0 && keeps_shape(quotient->inputs[0]))
      return Scaled{quotient->inputs[0], 1 / *divisor};
  }
  return std::nullopt;
}

ValueId through_casts(const Graph& graph, ValueId value) {
  while (const Node* cast = graph.producer_of(value, "Cast")) {
    if (!is_float(graph.value(cast->inputs[0]).dtype) || !is_float(graph.value(value).dtype)) break;
    value = cast->inputs[0];
  }
  return value;
}

std::int64_t axis_of(const Graph& graph, const Node& node, std::int64_t fallback, ValueId of) {
  const std::int64_t axis = node.attributes.get_int("axis", fallback);
  return axis < 0 ? axis + static_cast<std::int64_t>(graph.value(of).shape.size()) : axis;
}

std::optional<SliceRange> slice_range(const Graph& graph, ValueId value) {
  const Node* slice = graph.producer_of(value, "Slice");
  if (slice == nullptr) return std::nullopt;
  const ValueId input = slice->inputs[0];
  const auto begins = integers(graph, slice->inputs[1]);
  const auto& shape = graph.value(input).shape;
  if (!begins || begins->size() != 1) return std::nullopt;
  std::int64_t axis = 0;
  if (slice->inputs.size() > 3 && slice->inputs[3] != kNoValue) {
    const auto axes = integers(graph, slice->inputs[3]);
    if (!axes) return std::nullopt;
    axis = axes->at(0) < 0 ? axes->at(0) + static_cast<std::int64_t>(shape.size()) : axes->at(0);
  }
  if (slice->inputs.size() > 4 && slice->inputs[4] != kNoValue) {
    const auto steps = integers(graph, slice->inputs[4]);
    if (!steps || steps->at(0) != 1) return std::nullopt;
  }
  const auto whole = shape.at(static_cast<std::size_t>(axis)).constant();
  const auto length = graph.value(value).shape.at(static_cast<std::size_t>(axis)).constant();
  if (!whole || !length) return std::nullopt;
  const std::int64_t begin = begins->at(0) < 0 ? std::max<std::int64_t>(0, begins->at(0) + *whole)
                                               : std::min(begins->at(0), *whole);
  return SliceRange{input, axis, begin, *length};
}

std::optional<SliceRange> part_of(const Graph& graph, ValueId value) {
  if (const auto slice = slice_range(graph, value)) return slice;
  const Node* split = graph.producer_of(value, "Split");
  if (split == nullptr) return std::nullopt;
  const std::int64_t axis = axis_of(graph, *split, 0, split->inputs[0]);
  std::int64_t begin = 0;
  for (const ValueId output : split->outputs) {
    if (output == kNoValue) return std::nullopt;
    const auto length = graph.value(output).shape.at(static_cast<std::size_t>(axis)).constant();
    if (!length) return std::nullopt;
    if (output == value) return SliceRange{split->inputs[0], axis, begin, *length};
    begin += *length;
  }
  return std::nullopt;
}

std::string activation_name(const Node& node) {
  if (node.op->name == "Relu") return "relu";
  if (node.op->name == "Swish" && node.attributes.get_float("alpha", 1.0F) == 1.0F) return "silu";
  if (node.op->name != "Gelu") return "";
  return node.attributes.get_string("approximate", "none") == "tanh" ? "gelu_tanh" : "gelu";
}

bool depends_on(const Graph& graph, ValueId value, ValueId from) {
  std::vector<ValueId> pending = {value};
  std::vector<bool> seen(graph.value_count(), false);
  while (!pending.empty()) {
    const ValueId at = pending.back();
    pending.pop_back();
    if (at == from) return true;
    if (at == kNoValue || seen[static_cast<std::size_t>(at)] || graph.value(at).producer == kNoNode)
      continue;
    seen[static_cast<std::size_t>(at)] = true;
    const auto& inputs = graph.node(graph.value(at).producer).inputs;
    pending.insert(pending.end(), inputs.begin(), inputs.end());
  }
  return false;
}

bool replace_with(Graph& graph, ValueId old, std::string_view op, std::string_view name,
                  std::vector<ValueId> inputs, Attributes attributes, std::string_view module) {
  const std::size_t constraints = graph.constraints.size();
  ValueId made = kNoValue;
  try {
    made = graph.add(op, name, std::move(inputs), std::move(attributes), module);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
  }
  if (made != kNoValue && graph.value(made).dtype == graph.value(old).dtype &&
      graph.value(made).shape == graph.value(old).shape) {
    graph.replace_value(old, made);
    return true;
  }
  if (made != kNoValue) graph.remove_node(graph.value(made).producer);
  graph.constraints.resize(constraints);
  return false;
}

}  // namespace tenon::passes
