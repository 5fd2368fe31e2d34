// Computes equal expressions once: same op, same inputs, same attributes.
#include <map>

#include <fmt/core.h>

#include "graph/op_schema.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

constexpr std::int64_t kMaxCompared = 4096;

// Small equal constants first become one, since nodes are compared by their inputs.
int merge_constants(Graph& graph) {
  std::map<std::string, ValueId> seen;
  int merged = 0;
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<ValueId>(i);
    if (!graph.is_constant(id)) continue;
    const SourcePtr& source = graph.value(id).constant;
    if (element_count(source->shape()) > kMaxCompared) continue;
    const Tensor tensor = source->load();
    std::string key = fmt::format("{} {} ", dtype_name(tensor.dtype()), to_string(tensor.shape()));
    key.append(reinterpret_cast<const char*>(tensor.data()), tensor.bytes());
    const auto [found, inserted] = seen.emplace(std::move(key), id);
    if (inserted || graph.is_output(id)) continue;
    graph.replace_value(id, found->second);
    ++merged;
  }
  return merged;
}

std::string key_of(const Node& node) {
  std::string key(node.op->name);
  for (const ValueId input : node.inputs) key += fmt::format(" {}", static_cast<int>(input));
  for (const auto& [name, value] : node.attributes)
    key += fmt::format(" {}={}", name, attribute_text(value));
  return key + fmt::format(" -> {}", node.outputs.size());
}

}  // namespace

int merge_duplicates(Graph& graph, const PassContext&) {
  int merged = merge_constants(graph);
  std::map<std::string, NodeId> seen;
  for (const NodeId id : graph.order()) {
    const auto [found, inserted] = seen.emplace(key_of(graph.node(id)), id);
    if (inserted) continue;
    const Node node = graph.node(id);
    const Node& first = graph.node(found->second);
    bool can_merge = true;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const bool one_is_absent = (node.outputs[i] == kNoValue) != (first.outputs[i] == kNoValue);
      if (one_is_absent || (node.outputs[i] != kNoValue && graph.is_output(node.outputs[i])))
        can_merge = false;
    }
    if (!can_merge) continue;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      const std::string kept = graph.value(first.outputs[i]).name;
      graph.replace_value(node.outputs[i], first.outputs[i]);
      // The first name stays: replace_value hands over the later one.
      graph.rename_value(node.outputs[i], graph.value(node.outputs[i]).name + "_merged");
      graph.rename_value(first.outputs[i], kept);
    }
    graph.remove_node(id);
    ++merged;
  }
  return merged;
}

}  // namespace tenon::passes
