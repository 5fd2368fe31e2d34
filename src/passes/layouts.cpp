#include "passes/layouts.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::passes {
namespace {

bool is_one(const Dim& dim) { return dim == Dim(1); }

// What a Reshape has to be told: 0 copies the size at the same place, -1 is told from the rest.
std::optional<std::vector<std::int64_t>> written(const DimShape& from, const DimShape& to) {
  std::vector<std::int64_t> numbers;
  bool open = false;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (const auto number = to[i].constant()) {
      if (*number == 0) return std::nullopt;  // would copy a size
      numbers.push_back(*number);
    } else if (i < from.size() && from[i] == to[i]) {
      numbers.push_back(0);
    } else if (!open) {
      open = true;
      numbers.push_back(-1);
    } else {
      return std::nullopt;
    }
  }
  return numbers;
}

}  // namespace

std::string channels_last_name(std::string_view name) {
  return fmt::format("{}{}", name, kChannelsLastMark);
}

std::vector<std::int64_t> last_order(std::size_t rank) {
  std::vector<std::int64_t> order = {0};
  for (std::size_t i = 2; i < rank; ++i) order.push_back(static_cast<std::int64_t>(i));
  order.push_back(1);
  return order;
}

std::vector<std::int64_t> first_order(std::size_t rank) {
  std::vector<std::int64_t> order = {0, static_cast<std::int64_t>(rank) - 1};
  for (std::size_t i = 1; i + 1 < rank; ++i) order.push_back(static_cast<std::int64_t>(i));
  return order;
}

std::int64_t last_axis(std::int64_t axis, std::size_t rank) {
  if (axis < 0) axis += static_cast<std::int64_t>(rank);
  if (axis == 0) return 0;
  return axis == 1 ? static_cast<std::int64_t>(rank) - 1 : axis - 1;
}

bool moves_nothing(const DimShape& shape, const std::vector<std::int64_t>& order) {
  std::int64_t before = -1;
  for (const std::int64_t axis : order) {
    if (is_one(shape[static_cast<std::size_t>(axis)])) continue;
    if (axis < before) return false;
    before = axis;
  }
  return true;
}

DimShape permuted(const DimShape& shape, const std::vector<std::int64_t>& order) {
  DimShape result;
  for (const std::int64_t axis : order) result.push_back(shape.at(static_cast<std::size_t>(axis)));
  return result;
}

Tensor permuted(const TensorView& tensor, const std::vector<std::int64_t>& order) {
  const std::size_t rank = order.size();
  std::vector<std::int64_t> strides(rank, 1);
  for (std::size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * tensor.shape[i];
  Shape shape;
  std::vector<std::int64_t> steps;
  for (const std::int64_t axis : order) {
    shape.push_back(tensor.shape.at(static_cast<std::size_t>(axis)));
    steps.push_back(strides.at(static_cast<std::size_t>(axis)));
  }
  Tensor result(tensor.dtype, shape);
  const std::size_t size = dtype_size(tensor.dtype);
  std::vector<std::int64_t> at(rank, 0);
  const std::int64_t count = result.count();
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t from = 0;
    for (std::size_t d = 0; d < rank; ++d) from += at[d] * steps[d];
    std::memcpy(result.data() + static_cast<std::size_t>(i) * size,
                tensor.data + static_cast<std::size_t>(from) * size, size);
    for (std::size_t d = rank; d-- > 0 && ++at[d] == shape[d];) at[d] = 0;
  }
  return result;
}

ValueId shape_for_reshape(Graph& graph, const DimShape& from, const DimShape& to,
                          std::string_view name) {
  const auto numbers = written(from, to);
  if (!numbers) return kNoValue;
  return graph.add_constant(
      fmt::format("{}.shape", name),
      Tensor::from_ints({static_cast<std::int64_t>(numbers->size())}, *numbers));
}

ValueId reshaped(Graph& graph, ValueId value, const DimShape& shape, std::string_view name) {
  if (graph.value(value).shape == shape) return value;
  const std::size_t constraints = graph.constraints.size();
  const ValueId target = shape_for_reshape(graph, graph.value(value).shape, shape, name);
  if (target == kNoValue) return kNoValue;
  const ValueId made = graph.add("Reshape", name, {value, target}, {},
                                 graph.value(value).producer == kNoNode
                                     ? std::string()
                                     : graph.node(graph.value(value).producer).module);
  if (graph.value(made).shape == shape) return made;
  graph.remove_node(graph.value(made).producer);
  graph.constraints.resize(constraints);
  return kNoValue;
}

ValueId reordered(Graph& graph, ValueId value, const std::vector<std::int64_t>& order,
                  std::string_view name) {
  const DimShape shape = permuted(graph.value(value).shape, order);
  const NodeId producer = graph.value(value).producer;
  const std::string module = producer == kNoNode ? std::string() : graph.node(producer).module;
  if (!moves_nothing(graph.value(value).shape, order))
    return graph.add("Transpose", name, {value}, {{"perm", order}}, module);
  const ValueId same = reshaped(graph, value, shape, name);
  if (same != kNoValue) return same;
  const auto ones = [&](const DimShape& of, std::string_view what) {
    std::vector<std::int64_t> axes;
    for (std::size_t i = 0; i < of.size(); ++i) {
      if (is_one(of[i])) axes.push_back(static_cast<std::int64_t>(i));
    }
    return graph.add_constant(fmt::format("{}.{}", name, what),
                              Tensor::from_ints({static_cast<std::int64_t>(axes.size())}, axes));
  };
  const ValueId before = ones(graph.value(value).shape, "ones");
  const ValueId bare =
      graph.add("Squeeze", fmt::format("{}.bare", name), {value, before}, {}, module);
  return graph.add("Unsqueeze", name, {bare, ones(shape, "new_ones")}, {}, module);
}

void Layouts::convert(ValueId value) {
  graph::Value& now = graph_.value(value);
  now.shape = permuted(now.shape, last_order(now.shape.size()));
  graph_.rename_value(value, channels_last_name(now.name));
  converted_.insert(value);
}

DimShape Layouts::first_shape(ValueId value) const {
  const DimShape& shape = graph_.value(value).shape;
  return is_converted(value) ? permuted(shape, first_order(shape.size())) : shape;
}

ValueId Layouts::last(ValueId value) {
  if (is_converted(value)) return value;
  if (const auto known = last_.find(value); known != last_.end()) return known->second;
  const graph::Value& source = graph_.value(value);
  const std::size_t rank = source.shape.size();
  const ValueId made = source.constant
                           ? permuted_constant(value, rank)
                           : reordered(graph_, value, last_order(rank), source.name + ".to_last");
  last_.emplace(value, made);
  return made;
}

ValueId Layouts::first(ValueId value) {
  if (value == kNoValue || !is_converted(value)) return value;
  if (const auto known = first_.find(value); known != first_.end()) return known->second;
  std::string name = graph_.value(value).name;
  if (name.ends_with(kChannelsLastMark)) name.resize(name.size() - kChannelsLastMark.size());
  const auto order = first_order(graph_.value(value).shape.size());
  const ValueId made = reordered(graph_, value, order, name + ".to_first");
  if (!graph_.find_value(name)) graph_.rename_value(made, name);
  first_.emplace(value, made);
  last_.emplace(made, value);
  return made;
}

ValueId Layouts::operand(ValueId value, std::size_t rank) {
  const DimShape shape = first_shape(value);
  if (std::all_of(shape.begin(), shape.end(), is_one)) return value;
  if (shape.size() == rank) return last(value);
  if (graph_.is_constant(value)) return permuted_constant(value, rank);
  DimShape wide(rank - shape.size(), Dim(1));
  wide.insert(wide.end(), shape.begin(), shape.end());
  const ValueId source = first(value);
  const ValueId same = reshaped(graph_, source, wide, graph_.value(source).name + ".wide");
  return same == kNoValue ? kNoValue : last(same);
}

ValueId Layouts::permuted_constant(ValueId value, std::size_t rank) {
  const SourcePtr& source = graph_.value(value).constant;
  Shape wide(rank - source->shape().size(), 1);
  wide.insert(wide.end(), source->shape().begin(), source->shape().end());
  const Tensor loaded = reshaped_source(source, wide)->load();
  return graph_.add_constant(channels_last_name(graph_.value(value).name),
                             permuted(loaded.view(), last_order(rank)));
}

}  // namespace tenon::passes
