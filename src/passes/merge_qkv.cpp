// Queries, keys and values of one attention come from products with the same rows: one product
// gives all. Of an attention to other rows, keys and values do.
#include <algorithm>
#include <array>

#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"
#include "passes/projection.h"

namespace tenon::passes {
namespace {

constexpr std::array kOffsets = {"q_offset", "k_offset", "v_offset"};
constexpr std::array kLetters = {"q", "k", "v"};

struct Part {
  std::size_t input;
  Projection projection;
};

bool joins(const Part& a, const Part& b) {
  return a.projection.x == b.projection.x &&
         (a.projection.bias == nullptr) == (b.projection.bias == nullptr) &&
         a.projection.weight->dtype() == b.projection.weight->dtype();
}

void merge(Graph& graph, NodeId id, const std::vector<Part>& parts) {
  std::vector<SourcePtr> weights;
  std::vector<SourcePtr> biases;
  std::vector<std::int64_t> starts;
  std::int64_t width = 0;
  std::string module = graph.node(id).module + ".";
  for (const auto& [input, projection] : parts) {
    weights.push_back(projection.weight);
    if (projection.bias != nullptr) biases.push_back(projection.bias);
    starts.push_back(width);
    width += projection.weight->shape()[1];
    module += kLetters[input];
  }
  const ValueId weight = graph.add_constant(module + ".weight", concat_source(weights, 1));
  ValueId rows = graph.add("MatMul", module, {parts[0].projection.x, weight}, {}, module);
  if (!biases.empty()) {
    const ValueId bias = graph.add_constant(module + ".bias", concat_source(biases, 0));
    rows = graph.add("Add", module, {rows, bias}, {}, module);
  }
  Node& attention = graph.node(id);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const char* offset = kOffsets[parts[i].input];
    attention.attributes.set(offset, attention.attributes.get_int(offset, 0) + starts[i]);
    attention.inputs[parts[i].input] = rows;
  }
}

// All three, or keys and values.
std::vector<Part> mergeable(const Graph& graph, const Readers& readers, const Node& attention) {
  std::vector<Part> parts;
  for (std::size_t i = 0; i < 3; ++i) {
    if (auto part = match_projection(graph, readers, attention.inputs[i]))
      parts.push_back({i, *std::move(part)});
  }
  if (parts.size() == 3 && joins(parts[0], parts[1]) && joins(parts[0], parts[2])) return parts;
  std::erase_if(parts, [](const Part& part) { return part.input == 0; });
  return parts.size() == 2 && joins(parts[0], parts[1]) ? parts : std::vector<Part>{};
}

bool reads_rows(const Graph& graph, const Node& node) {
  return node.op->name == "tenon.CachedAttention" ||
         (node.op->name == "tenon.Attention" && graph.value(node.inputs[0]).shape.size() == 3);
}

}  // namespace

int merge_qkv(Graph& graph, const PassContext&) {
  int merged = 0;
  const Readers readers(graph);
  for (const NodeId id : graph.order()) {
    if (!reads_rows(graph, graph.node(id))) continue;
    const std::vector<Part> parts = mergeable(graph, readers, graph.node(id));
    if (parts.empty()) continue;
    merge(graph, id, parts);
    ++merged;
  }
  return merged;
}

}  // namespace tenon::passes
