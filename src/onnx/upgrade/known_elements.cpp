#include "onnx/upgrade/known_elements.h"

#include <algorithm>
#include <numeric>

#include "graph/op_schema.h"

namespace tenon::onnx {

using graph::Graph;
using graph::Node;
using graph::ValueId;

namespace {

constexpr int kMaxDepth = 16;

std::optional<std::vector<std::int64_t>> numbers(const Graph& graph, const Node& node,
                                                 std::size_t index) {
  if (index >= node.inputs.size() || node.inputs[index] == graph::kNoValue) return std::nullopt;
  const auto& content = graph.value(node.inputs[index]).content;
  return content ? constant_shape(*content) : std::nullopt;
}

// The elements of `from` at the places that `source_of` gives for each place of the new shape.
template <typename SourceOf>
KnownElements gathered(const KnownElements& from, Shape shape, SourceOf&& source_of) {
  KnownElements made;
  const std::int64_t count = element_count(shape);
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<std::int64_t> place(shape.size());
    for (std::size_t axis = shape.size(), rest = static_cast<std::size_t>(i); axis-- > 0;) {
      place[axis] = static_cast<std::int64_t>(rest) % shape[axis];
      rest /= static_cast<std::size_t>(shape[axis]);
    }
    const std::vector<std::int64_t> source = source_of(place);
    std::int64_t at = 0;
    for (std::size_t axis = 0; axis < source.size(); ++axis) {
      at = at * from.shape[axis] + source[axis];
    }
    made.elements.push_back(from.elements[static_cast<std::size_t>(at)]);
  }
  made.shape = std::move(shape);
  return made;
}

std::optional<KnownElements> transposed(const Node& node, const KnownElements& from) {
  std::vector<std::int64_t> order = node.attributes.get_ints("perm");
  if (order.empty()) {
    order.resize(from.shape.size());
    std::iota(order.rbegin(), order.rend(), 0);
  }
  Shape shape;
  for (const std::int64_t axis : order)
    shape.push_back(from.shape.at(static_cast<std::size_t>(axis)));
  return gathered(from, std::move(shape), [&](const std::vector<std::int64_t>& place) {
    std::vector<std::int64_t> source(place.size());
    for (std::size_t i = 0; i < place.size(); ++i) {
      source[static_cast<std::size_t>(order[i])] = place[i];
    }
    return source;
  });
}

std::optional<KnownElements> sliced(const Graph& graph, const Node& node,
                                    const KnownElements& from) {
  const auto starts = numbers(graph, node, 1);
  const auto axes = numbers(graph, node, 3);
  const auto steps = numbers(graph, node, 4);
  const auto shape = constant_shape(graph.value(node.outputs[0]).shape);
  if (!starts || !axes || !steps || !shape || starts->size() != 1 || axes->size() != 1 ||
      steps->size() != 1) {
    return std::nullopt;
  }
  const std::size_t axis = graph::InferenceContext::axis(axes->front(), from.shape.size());
  const std::int64_t size = from.shape[axis];
  const std::int64_t step = steps->front();
  std::int64_t first = starts->front() < 0 ? starts->front() + size : starts->front();
  first = std::clamp<std::int64_t>(first, 0, step < 0 ? size - 1 : size);
  return gathered(from, *shape, [&](std::vector<std::int64_t> place) {
    place[axis] = first + place[axis] * step;
    return place;
  });
}

}  // namespace

std::optional<KnownElements> known_elements(const Graph& graph, ValueId id, int depth) {
  if (depth > kMaxDepth) return std::nullopt;
  const graph::Value& value = graph.value(id);
  const auto shape = constant_shape(value.shape);
  if (!shape || element_count(*shape) > graph::kMaxContent) return std::nullopt;
  if (value.content) return KnownElements{*shape, *value.content};
  if (value.producer == graph::kNoNode) return std::nullopt;
  const Node& node = graph.node(value.producer);
  const std::string_view op = node.op->name;
  if (op != "Cast" && op != "Identity" && op != "Reshape" && op != "Transpose" && op != "Slice") {
    return std::nullopt;
  }
  if (value.dtype != DType::i64 && value.dtype != DType::i32) return std::nullopt;
  auto from = known_elements(graph, node.inputs[0], depth + 1);
  if (!from) return std::nullopt;
  if (op == "Transpose") return transposed(node, *from);
  if (op == "Slice") return sliced(graph, node, *from);
  from->shape = *shape;  // Reshape keeps the order; the others keep everything
  return from;
}

}  // namespace tenon::onnx
