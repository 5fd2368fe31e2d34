#include "graph/graph.h"

#include <algorithm>
#include <queue>
#include <set>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::graph {
namespace {

std::size_t index_of(ValueId id) { return static_cast<std::size_t>(id); }
std::size_t index_of(NodeId id) { return static_cast<std::size_t>(id); }

std::optional<std::vector<Dim>> content_of(const SourcePtr& source) {
  const DType type = source->dtype();
  if (type != DType::i64 && type != DType::i32 && type != DType::boolean) return std::nullopt;
  if (element_count(source->shape()) > kMaxContent) return std::nullopt;
  const Tensor tensor = converted(source->load().view(), DType::i64);
  std::vector<Dim> content;
  for (const std::int64_t number : tensor.as<std::int64_t>()) content.emplace_back(number);
  return content;
}

// Sizes that are known must be sizes, and few enough to count.
void check_shape(const DimShape& shape) {
  if (shape.size() > kMaxRank)
    bad_input("a tensor of rank {}, expected at most {}", shape.size(), kMaxRank);
  Shape known;
  for (const Dim& dim : shape) {
    if (const auto number = dim.constant()) known.push_back(*number);
  }
  element_count(known);
}

std::string describe(const Graph& graph, const Node& node) {
  constexpr std::size_t kShown = 8;
  std::string text = node.op == nullptr ? "?" : std::string(node.op->name);
  text += "(";
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (i > 0) text += ", ";
    if (i == kShown) {
      text += "...";
      break;
    }
    if (node.inputs[i] == kNoValue) continue;
    const Value& value = graph.value(node.inputs[i]);
    text += fmt::format("{} {}", dtype_name(value.dtype), to_string(value.shape));
  }
  return text + ")";
}

}  // namespace

std::string Graph::unique(std::string_view wanted) {
  std::string candidate = wanted.empty() ? "value" : std::string(wanted);
  for (int suffix = 1; by_name_.contains(candidate); ++suffix) {
    candidate = fmt::format("{}_{}", wanted.empty() ? "value" : wanted, suffix);
  }
  return candidate;
}

ValueId Graph::add_value(Value value) {
  value.name = unique(value.name);
  const auto id = static_cast<ValueId>(values_.size());
  by_name_.emplace(value.name, id);
  values_.push_back(std::move(value));
  return id;
}

ValueId Graph::add_input(std::string_view input_name, DType dtype, DimShape shape) {
  with_context(input_name, [&] { check_shape(shape); });
  Value value;
  value.name = input_name;
  value.dtype = dtype;
  value.shape = std::move(shape);
  inputs_.push_back(add_value(std::move(value)));
  return inputs_.back();
}

ValueId Graph::add_constant(std::string_view constant_name, SourcePtr source) {
  Value value;
  value.name = constant_name;
  value.dtype = source->dtype();
  value.shape.assign(source->shape().begin(), source->shape().end());
  with_context(constant_name, [&] { check_shape(value.shape); });
  value.content = content_of(source);
  value.constant = std::move(source);
  return add_value(std::move(value));
}

ValueId Graph::add_constant(std::string_view constant_name, Tensor tensor) {
  return add_constant(constant_name, owned_source(std::move(tensor)));
}

NodeId Graph::add_node(Node node, std::span<const std::string> output_names) {
  const std::string wanted = node.name.empty() ? std::string(node.op->name) : node.name;
  int& uses = node_names_[wanted];
  node.name = uses == 0 ? wanted : fmt::format("{}_{}", wanted, uses);
  ++uses;
  const auto id = static_cast<NodeId>(nodes_.size());
  const std::size_t count = std::max<std::size_t>(
      {output_names.size(), node.outputs.size(), static_cast<std::size_t>(node.op->min_outputs)});
  node.outputs.assign(count, kNoValue);
  for (std::size_t i = 0; i < count; ++i) {
    const bool named = i < output_names.size() && !output_names[i].empty();
    // Kernels write the outputs that an op must have, and all parts of a split, whether anything
    // reads them or not.
    const bool required =
        i < static_cast<std::size_t>(node.op->min_outputs) || node.op->max_outputs == kAnyNumber;
    if (!named && !required && i < output_names.size()) continue;
    Value value;
    value.name = named        ? output_names[i]
                 : count == 1 ? node.name + "_output"
                              : fmt::format("{}_output_{}", node.name, i);
    value.producer = id;
    node.outputs[i] = add_value(std::move(value));
  }
  nodes_.push_back(std::move(node));
  try {
    infer(id);
  } catch (...) {
    drop(id);
    throw;
  }
  return id;
}

void Graph::drop(NodeId id) {
  Node& node = this->node(id);
  node.removed = true;
  for (const ValueId output : node.outputs) {
    if (output != kNoValue) by_name_.erase(value(output).name);
  }
}

ValueId Graph::add(std::string_view op, std::string_view node_name, std::vector<ValueId> inputs,
                   Attributes attributes, std::string_view module) {
  Node made;
  made.name = node_name;
  made.module = module;
  made.op = &find_op(op);
  made.inputs = std::move(inputs);
  made.attributes = std::move(attributes);
  return node(add_node(std::move(made))).outputs[0];
}

void Graph::infer(NodeId id) {
  const Node& subject = node(id);
  try {
    const OpSchema& op = *subject.op;
    const auto inputs = static_cast<int>(subject.inputs.size());
    const auto outputs = static_cast<int>(subject.outputs.size());
    if (inputs < op.min_inputs || inputs > op.max_inputs) {
      bad_input("{} inputs, expected {} to {}", inputs, op.min_inputs, op.max_inputs);
    }
    if (outputs < op.min_outputs || outputs > op.max_outputs) {
      bad_input("{} outputs, expected {} to {}", outputs, op.min_outputs, op.max_outputs);
    }
    for (const auto& [attribute, unused] : subject.attributes) {
      if (std::find(op.attributes.begin(), op.attributes.end(), attribute) == op.attributes.end()) {
        bad_input("attribute \"{}\" is not known", attribute);
      }
    }
    InferenceContext context(*this, subject, constraints);
    op.infer(context);
    for (std::size_t i = 0; i < subject.outputs.size(); ++i) {
      if (subject.outputs[i] == kNoValue) continue;
      check_shape(context.outputs()[i].shape);
      Value& output = value(subject.outputs[i]);
      output.dtype = context.outputs()[i].dtype;
      output.shape = context.outputs()[i].shape;
      output.content = context.outputs()[i].content;
    }
  } catch (Error& error) {
    error.in(fmt::format("node {}: {}", subject.name, describe(*this, subject)));
    throw;
  }
}

bool Graph::owns_its_name(ValueId id) const {
  return is_output(id) || std::find(inputs_.begin(), inputs_.end(), id) != inputs_.end();
}

void Graph::mark_output(ValueId id, std::string_view wanted) {
  if (value(id).name != wanted) {
    if (by_name_.contains(wanted)) bad_input("output name \"{}\" belongs to another value", wanted);
    if (owns_its_name(id)) id = add("Identity", fmt::format("{}_identity", wanted), {id});
    Value& result = value(id);
    by_name_.erase(result.name);
    result.name = wanted;
    by_name_.emplace(result.name, id);
  }
  outputs_.push_back(id);
}

std::vector<NodeId> Graph::order() const {
  std::vector<int> missing(nodes_.size(), 0);
  std::vector<std::vector<std::size_t>> waiting(nodes_.size());
  std::size_t live = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].removed) continue;
    ++live;
    std::set<std::size_t> producers;
    for (const ValueId input : nodes_[i].inputs) {
      if (input == kNoValue || value(input).producer == kNoNode) continue;
      const std::size_t producer = index_of(value(input).producer);
      if (!nodes_[producer].removed) producers.insert(producer);
    }
    missing[i] = static_cast<int>(producers.size());
    for (const std::size_t producer : producers) waiting[producer].push_back(i);
  }
  // Among the ready nodes the oldest goes first, so that the order follows the source.
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].removed && missing[i] == 0) ready.push(i);
  }
  std::vector<NodeId> order;
  while (!ready.empty()) {
    const std::size_t next = ready.top();
    ready.pop();
    order.push_back(static_cast<NodeId>(next));
    for (const std::size_t reader : waiting[next]) {
      if (--missing[reader] == 0) ready.push(reader);
    }
  }
  if (order.size() != live) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!nodes_[i].removed && missing[i] > 0)
        bad_input("node {} is part of a cycle", nodes_[i].name);
    }
  }
  return order;
}

std::optional<ValueId> Graph::find_value(std::string_view wanted) const {
  const auto found = by_name_.find(wanted);
  return found == by_name_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<NodeId> Graph::readers(ValueId id) const {
  std::vector<NodeId> found;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& reader = nodes_[i];
    if (!reader.removed &&
        std::find(reader.inputs.begin(), reader.inputs.end(), id) != reader.inputs.end()) {
      found.push_back(static_cast<NodeId>(i));
    }
  }
  return found;
}

bool Graph::is_output(ValueId id) const {
  return std::find(outputs_.begin(), outputs_.end(), id) != outputs_.end();
}

const Node* Graph::producer_of(ValueId id, std::string_view op) const {
  if (id == kNoValue || value(id).producer == kNoNode) return nullptr;
  const Node& producer = node(value(id).producer);
  return !producer.removed && producer.op->name == op ? &producer : nullptr;
}

void Graph::replace_value(ValueId from, ValueId to) {
  if (from == to) return;
  for (Node& reader : nodes_) {
    if (!reader.removed) std::replace(reader.inputs.begin(), reader.inputs.end(), from, to);
  }
  const bool was_output = is_output(from);
  if (was_output && owns_its_name(to))
    to = add("Identity", fmt::format("{}_identity", value(from).name), {to});
  std::replace(outputs_.begin(), outputs_.end(), from, to);
  const bool to_is_fixed = value(to).constant != nullptr || value(to).producer == kNoNode;
  if (!was_output && (to_is_fixed || owns_its_name(to))) return;
  std::swap(value(from).name, value(to).name);
  by_name_[value(from).name] = from;
  by_name_[value(to).name] = to;
}

void Graph::rename_value(ValueId id, std::string_view wanted) {
  Value& renamed = value(id);
  by_name_.erase(renamed.name);
  renamed.name = unique(wanted);
  by_name_.emplace(renamed.name, id);
}

void Graph::remove_node(NodeId id) { node(id).removed = true; }

void Graph::remove_input(ValueId id) { std::erase(inputs_, id); }

void Graph::set_input(NodeId id, std::size_t index, ValueId to) { node(id).inputs.at(index) = to; }

void Graph::tidy() {
  std::vector<bool> needed(nodes_.size(), false);
  std::vector<ValueId> pending = outputs_;
  while (!pending.empty()) {
    const ValueId id = pending.back();
    pending.pop_back();
    if (id == kNoValue || value(id).producer == kNoNode) continue;
    const std::size_t producer = index_of(value(id).producer);
    if (needed[producer]) continue;
    needed[producer] = true;
    pending.insert(pending.end(), nodes_[producer].inputs.begin(), nodes_[producer].inputs.end());
  }
  const std::vector<NodeId> sorted = order();
  std::vector<ValueId> renamed(values_.size(), kNoValue);
  std::vector<Value> values;
  const auto keep = [&](ValueId id) {
    if (id == kNoValue) return kNoValue;
    ValueId& target = renamed[index_of(id)];
    if (target == kNoValue) {
      target = static_cast<ValueId>(values.size());
      values.push_back(std::move(value(id)));
    }
    return target;
  };
  for (ValueId& input : inputs_) input = keep(input);
  std::vector<Node> nodes;
  for (const NodeId id : sorted) {
    if (!needed[index_of(id)]) continue;
    Node moved = std::move(node(id));
    for (ValueId& input : moved.inputs) input = keep(input);
    for (ValueId& output : moved.outputs) {
      output = keep(output);
      if (output != kNoValue) values[index_of(output)].producer = static_cast<NodeId>(nodes.size());
    }
    nodes.push_back(std::move(moved));
  }
  for (ValueId& output : outputs_) output = keep(output);
  values_ = std::move(values);
  nodes_ = std::move(nodes);
  by_name_.clear();
  for (std::size_t i = 0; i < values_.size(); ++i)
    by_name_.emplace(values_[i].name, static_cast<ValueId>(i));
}

void Graph::infer_again() {
  constraints.clear();
  for (const NodeId id : order()) infer(id);
}

void Graph::substitute(const std::map<std::string, Dim, std::less<>>& replacements) {
  for (const ValueId id : inputs_) {
    for (Dim& dim : value(id).shape) dim = dim.substitute(replacements);
  }
  infer_again();
}

void verify(const Graph& graph) {
  const auto wrong = [](const std::string& what) {
    throw Error(ErrorCode::internal, "graph: " + what);
  };
  std::set<std::string, std::less<>> names;
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(static_cast<ValueId>(i));
    if (!names.insert(value.name).second) wrong("two values are named " + value.name);
  }
  std::vector<bool> defined(graph.value_count(), false);
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    defined[i] = graph.value(static_cast<ValueId>(i)).constant != nullptr;
  }
  for (const ValueId input : graph.inputs()) defined[index_of(input)] = true;
  Graph copy = graph;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    for (const ValueId input : node.inputs) {
      if (input != kNoValue && !defined[index_of(input)]) {
        wrong(fmt::format("node {} reads {} before it is computed", node.name,
                          graph.value(input).name));
      }
    }
    for (const ValueId output : node.outputs) {
      if (output == kNoValue) continue;
      if (defined[index_of(output)])
        wrong(fmt::format("value {} is written twice", graph.value(output).name));
      if (graph.value(output).producer != id) {
        wrong(fmt::format("value {} does not know its producer {}", graph.value(output).name,
                          node.name));
      }
      defined[index_of(output)] = true;
    }
  }
  for (const ValueId output : graph.outputs()) {
    if (!defined[index_of(output)])
      wrong("output " + graph.value(output).name + " is never computed");
  }
  copy.infer_again();
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const Value& before = graph.value(static_cast<ValueId>(i));
    const Value& after = copy.value(static_cast<ValueId>(i));
    if (before.dtype != after.dtype || before.shape != after.shape) {
      wrong(fmt::format("value {} is {} {}, inference says {} {}", before.name,
                        dtype_name(before.dtype), to_string(before.shape), dtype_name(after.dtype),
                        to_string(after.shape)));
    }
  }
}

}  // namespace tenon::graph
