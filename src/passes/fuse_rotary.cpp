// x * cos + rotate_half(x) * sin -> RotaryEmbedding, with the part of a head that is not rotated,
// if any.
#include <map>

#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

std::int64_t last_dim(const Graph& graph, ValueId value) {
  const auto& shape = graph.value(value).shape;
  return shape.empty() ? -1 : shape.back().constant().value_or(-1);
}

bool is_last_axis(const Graph& graph, const SliceRange& range) {
  return range.axis + 1 == static_cast<std::int64_t>(graph.value(range.input).shape.size());
}

// value = concat(-x[half:], x[:half]) along the last axis: x.
ValueId rotated_half_of(const Graph& graph, ValueId value) {
  const Node* concat = graph.producer_of(value, "Concat");
  if (concat == nullptr || concat->inputs.size() != 2) return kNoValue;
  if (axis_of(graph, *concat, 0, value) + 1 !=
      static_cast<std::int64_t>(graph.value(value).shape.size()))
    return kNoValue;
  const Node* negated = graph.producer_of(concat->inputs[0], "Neg");
  if (negated == nullptr) return kNoValue;
  const auto second = part_of(graph, negated->inputs[0]);
  const auto first = part_of(graph, concat->inputs[1]);
  if (!first || !second || first->input != second->input || !is_last_axis(graph, *first) ||
      !is_last_axis(graph, *second)) {
    return kNoValue;
  }
  const std::int64_t width = last_dim(graph, first->input);
  const bool halves = first->begin == 0 && first->length * 2 == width &&
                      second->begin * 2 == width && second->length * 2 == width;
  return halves ? first->input : kNoValue;
}

// Whether the second half of an axis repeats the first, whatever the positions are.
bool halves_are_equal(const Graph& graph, ValueId value, std::int64_t axis, int depth = 0) {
  if (depth > 12 || graph.value(value).producer == kNoNode) return false;
  const Node& node = graph.node(graph.value(value).producer);
  const std::string_view op = node.op->name;
  if (op == "Concat" && axis_of(graph, node, 0, value) == axis) {
    return node.inputs.size() == 2 && node.inputs[0] == node.inputs[1];
  }
  if (op == "Transpose") {
    const auto perm = node.attributes.get_ints("perm");
    return !perm.empty() && halves_are_equal(graph, node.inputs[0],
                                             perm.at(static_cast<std::size_t>(axis)), depth + 1);
  }
  const auto rank = static_cast<std::int64_t>(graph.value(value).shape.size());
  const bool elementwise = op == "Cos" || op == "Sin" || op == "Cast" || op == "Identity";
  const bool scales = (op == "Mul" || op == "Div") && node.inputs.size() == 2 &&
                      scalar(graph, node.inputs[1]).has_value();
  if (elementwise || scales) return halves_are_equal(graph, node.inputs[0], axis, depth + 1);
  // These keep the last axis where its size stays.
  const bool keeps_last_axis =
      op == "Unsqueeze" || op == "Squeeze" || op == "Slice" || op == "Gather";
  // A Gather along the last axis puts its elements in another order.
  if (op == "Gather" && axis_of(graph, node, 0, node.inputs[0]) + 1 ==
                            static_cast<std::int64_t>(graph.value(node.inputs[0]).shape.size()))
    return false;
  if (!keeps_last_axis || axis + 1 != rank ||
      last_dim(graph, value) != last_dim(graph, node.inputs[0]))
    return false;
  const auto inner = static_cast<std::int64_t>(graph.value(node.inputs[0]).shape.size());
  return halves_are_equal(graph, node.inputs[0], inner - 1, depth + 1);
}

// Tables as RotaryEmbedding wants them, made once for all layers: [batch, sequence, rotary / 2]
// from [batch, 1, sequence, rotary].
class HalfTables {
 public:
  explicit HalfTables(Graph& graph) : graph_(graph) {}

  ValueId of(ValueId table) {
    const auto [known, inserted] = made_.emplace(table, kNoValue);
    if (!inserted) return known->second;
    const graph::Value& value = graph_.value(table);
    const std::int64_t width = last_dim(graph_, table);
    const bool fits =
        value.shape.size() == 4 && value.shape[1] == Dim(1) && width > 0 && width % 2 == 0;
    if (!fits || !halves_are_equal(graph_, table, 3)) return kNoValue;
    const ValueId half =
        graph_.add("Slice", "rotary_table", {table, ints({0}), ints({width / 2}), ints({-1})}, {},
                   graph_.node(value.producer).module);
    known->second = graph_.add("Squeeze", "rotary_table", {half, ints({1})}, {},
                               graph_.node(graph_.value(half).producer).module);
    return known->second;
  }

 private:
  ValueId ints(const std::vector<std::int64_t>& values) {
    return graph_.add_constant(
        "rotary_range", Tensor::from_ints({static_cast<std::int64_t>(values.size())}, values));
  }
  Graph& graph_;
  std::map<ValueId, ValueId> made_;
};

struct Rotation {
  ValueId x;
  ValueId cos;
  ValueId sin;
};

std::optional<Rotation> match_rotation(const Graph& graph, const Node& sum) {
  const Node* left = graph.producer_of(sum.inputs[0], "Mul");
  const Node* right = graph.producer_of(sum.inputs[1], "Mul");
  if (left == nullptr || right == nullptr) return std::nullopt;
  for (const auto& [plain, turned] : {std::pair{left, right}, std::pair{right, left}}) {
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const ValueId x = rotated_half_of(graph, turned->inputs[side]);
      if (x == kNoValue) continue;
      const ValueId cos = other_input(*plain, x);
      if (cos != kNoValue) return Rotation{x, cos, turned->inputs[1 - side]};
    }
  }
  return std::nullopt;
}

// The whole head when `value` = concat(rotated x[:r], x[r:]): the concat node and x.
struct Partial {
  ValueId whole;
  ValueId head;
};
std::optional<Partial> match_partial(const Graph& graph, const Readers& readers, ValueId rotated,
                                     ValueId part) {
  const auto first = part_of(graph, part);
  if (!first || first->begin != 0 || !is_last_axis(graph, *first)) return std::nullopt;
  for (const NodeId reader : readers.of(rotated)) {
    const Node& concat = graph.node(reader);
    if (concat.op->name != "Concat" || concat.inputs.size() != 2 || concat.inputs[0] != rotated)
      continue;
    const auto rest = part_of(graph, concat.inputs[1]);
    if (!rest || rest->input != first->input || rest->begin != first->length ||
        !is_last_axis(graph, *rest))
      continue;
    if (rest->begin + rest->length != last_dim(graph, first->input)) continue;
    return Partial{concat.outputs[0], first->input};
  }
  return std::nullopt;
}

}  // namespace

int fuse_rotary(Graph& graph, const PassContext&) {
  int fused = 0;
  const Readers readers(graph);
  HalfTables tables(graph);
  for (const NodeId id : graph.order()) {
    const Node node = graph.node(id);
    if (node.op->name != "Add") continue;
    const auto match = match_rotation(graph, node);
    if (!match || graph.value(match->x).shape.size() != 4) continue;
    const ValueId cos = tables.of(match->cos);
    const ValueId sin = tables.of(match->sin);
    if (cos == kNoValue || sin == kNoValue) continue;
    const std::int64_t width = last_dim(graph, match->x);
    const auto partial = match_partial(graph, readers, node.outputs[0], match->x);
    const ValueId input = partial ? partial->head : match->x;
    const ValueId output = partial ? partial->whole : node.outputs[0];
    if (replace_with(graph, output, "RotaryEmbedding", node.name, {input, cos, sin},
                     {{"interleaved", std::int64_t{0}}, {"rotary_embedding_dim", width}},
                     node.module))
      ++fused;
  }
  return fused;
}

}  // namespace tenon::passes
