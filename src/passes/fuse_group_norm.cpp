// Group normalisation as exporters write it -> GroupNormalization:
//   Reshape [N, G, ...], InstanceNormalization with ones and zeros or the formula of mean and
//   variance, Reshape back, * weight + bias.
#include <algorithm>

#include "base/error.h"
#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

struct Normalized {
  ValueId x;  // [N, C, ...]
  std::int64_t groups;
  double epsilon;
};

bool all_equal(const Graph& graph, ValueId value, double wanted) {
  if (!graph.is_constant(value)) return false;
  const Tensor numbers = converted(graph.value(value).constant->load().view(), DType::f64);
  const auto span = numbers.as<double>();
  return std::all_of(span.begin(), span.end(), [&](double number) { return number == wanted; });
}

// Channels first, one number a channel: [C, 1, 1], [1, C, 1, 1] ... as [C].
SourcePtr per_channel(const Graph& graph, ValueId value, std::size_t rank, const Dim& channels) {
  if (!graph.is_constant(value)) return nullptr;
  const SourcePtr& source = graph.value(value).constant;
  const Shape& shape = source->shape();
  const auto count = channels.constant();
  if (!count || element_count(shape) != *count || shape.size() > rank) return nullptr;
  const std::size_t axis = shape.size() + 1 - rank;  // wraps when the channel's axis is not there
  if (shape.size() + 1 < rank || shape.at(axis) != *count) return nullptr;
  return reshaped_source(source, {*count});
}

// Mean over all axes from 2 on, or over axis 2 of three; keeps them.
const Node* mean_of_groups(const Graph& graph, ValueId value) {
  const Node* mean = graph.producer_of(value, "ReduceMean");
  if (mean == nullptr || mean->inputs.size() < 2 || mean->attributes.get_int("keepdims", 1) == 0)
    return nullptr;
  auto axes = integers(graph, mean->inputs[1]);
  const auto rank = static_cast<std::int64_t>(graph.value(mean->inputs[0]).shape.size());
  if (!axes || rank < 3) return nullptr;
  for (std::int64_t& axis : *axes) axis += axis < 0 ? rank : 0;
  std::sort(axes->begin(), axes->end());
  if (static_cast<std::int64_t>(axes->size()) != rank - 2) return nullptr;
  for (std::size_t i = 0; i < axes->size(); ++i) {
    if ((*axes)[i] != static_cast<std::int64_t>(i) + 2) return nullptr;
  }
  return mean;
}

bool is_square_of(const Graph& graph, ValueId value, ValueId root) {
  const Node* power = graph.producer_of(value, "Pow");
  if (power != nullptr) return power->inputs[0] == root && scalar(graph, power->inputs[1]) == 2.0;
  const Node* product = graph.producer_of(value, "Mul");
  return product != nullptr && product->inputs[0] == root && product->inputs[1] == root;
}

// Epsilon when `value` is sqrt(mean((x - mean)^2) + epsilon) of this difference.
std::optional<double> deviation(const Graph& graph, ValueId value, ValueId centered) {
  const Node* root = graph.producer_of(value, "Sqrt");
  const Node* sum = root == nullptr ? nullptr : graph.producer_of(root->inputs[0], "Add");
  if (sum == nullptr) return std::nullopt;
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const Node* variance = mean_of_groups(graph, sum->inputs[side]);
    if (variance != nullptr && is_square_of(graph, variance->inputs[0], centered))
      return scalar(graph, sum->inputs[1 - side]);
  }
  return std::nullopt;
}

struct Grouped {
  ValueId groups;  // [N, G, ...]
  double epsilon;
};

// (x - mean) / sqrt(variance + epsilon), or times the reciprocal of the root.
std::optional<Grouped> formula(const Graph& graph, ValueId value) {
  const Node* node = graph.producer_of(value, "Div");
  if (node == nullptr) node = graph.producer_of(value, "Mul");
  if (node == nullptr) return std::nullopt;
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const ValueId centered = node->inputs[side];
    ValueId scale = node->inputs[1 - side];
    if (node->op->name == "Mul") {
      const Node* inverse = graph.producer_of(scale, "Reciprocal");
      if (inverse == nullptr) continue;
      scale = inverse->inputs[0];
    } else if (side == 1) {
      break;
    }
    const Node* difference = graph.producer_of(centered, "Sub");
    if (difference == nullptr) continue;
    const Node* mean = mean_of_groups(graph, difference->inputs[1]);
    if (mean == nullptr || mean->inputs[0] != difference->inputs[0]) continue;
    if (const auto epsilon = deviation(graph, scale, centered))
      return Grouped{difference->inputs[0], *epsilon};
  }
  return std::nullopt;
}

std::optional<Grouped> instance_norm(const Graph& graph, ValueId value) {
  const Node* node = graph.producer_of(value, "InstanceNormalization");
  if (node == nullptr || !all_equal(graph, node->inputs[1], 1) ||
      !all_equal(graph, node->inputs[2], 0)) {
    return std::nullopt;
  }
  return Grouped{node->inputs[0], node->attributes.get_float("epsilon", 1e-5F)};
}

// Reshape(normalised Reshape(x)) with the shape of x.
std::optional<Normalized> normalized(const Graph& graph, ValueId value) {
  const Node* back = graph.producer_of(value, "Reshape");
  if (back == nullptr) return std::nullopt;
  auto found = instance_norm(graph, back->inputs[0]);
  if (!found) found = formula(graph, back->inputs[0]);
  const Node* split = found ? graph.producer_of(found->groups, "Reshape") : nullptr;
  if (split == nullptr) return std::nullopt;
  const ValueId x = split->inputs[0];
  const DimShape& shape = graph.value(x).shape;
  const DimShape& grouped = graph.value(found->groups).shape;
  if (shape != graph.value(value).shape || shape.size() < 3 || grouped.size() < 3 ||
      grouped[0] != shape[0]) {
    return std::nullopt;
  }
  // A further axis of the groups must not cut images: all of them are averaged, so any will do.
  const auto groups = grouped[1].constant();
  const auto channels = shape[1].constant();
  if (!groups || !channels || *groups < 1 || *channels % *groups != 0) return std::nullopt;
  return Normalized{x, *groups, found->epsilon};
}

bool fuse(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const Node* weigh = graph.producer_of(node.inputs[side], "Mul");
    if (weigh == nullptr) continue;
    for (const std::size_t inner : {std::size_t{0}, std::size_t{1}}) {
      const auto found = normalized(graph, weigh->inputs[inner]);
      if (!found) continue;
      const DimShape shape = graph.value(found->x).shape;
      const auto gamma = per_channel(graph, weigh->inputs[1 - inner], shape.size(), shape[1]);
      const auto beta = per_channel(graph, node.inputs[1 - side], shape.size(), shape[1]);
      if (gamma == nullptr || beta == nullptr) continue;
      const std::string weight_name = graph.value(weigh->inputs[1 - inner]).name;
      const std::string bias_name = graph.value(node.inputs[1 - side]).name;
      const ValueId weight = graph.add_constant(weight_name + ".channels", gamma);
      const ValueId bias = graph.add_constant(bias_name + ".channels", beta);
      return replace_with(
          graph, node.outputs[0], "GroupNormalization", node.name, {found->x, weight, bias},
          {{"num_groups", found->groups}, {"epsilon", static_cast<float>(found->epsilon)}},
          node.module);
    }
  }
  return false;
}

}  // namespace

int fuse_group_norm(Graph& graph, const PassContext&) {
  int fused = 0;
  for (const NodeId id : graph.order()) {
    if (graph.node(id).op->name == "Add" && fuse(graph, id)) ++fused;
  }
  return fused;
}

}  // namespace tenon::passes
