// tenon.Attention over [batch, heads, tokens, width] with the transposes around it -> the same over
// rows [batch, tokens, ...] as products write and read them; and a mask that hides just what
// follows a token becomes the attribute that says so.
#include <algorithm>

#include "base/error.h"
#include "graph/op_schema.h"
#include "passes/heads.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

/// Sizes of the probe: every symbol is one of these.
constexpr std::int64_t kProbes[] = {5, 3};
/// Added to a score, this or less leaves nothing of it after the softmax.
constexpr double kHidden = -1e4;

// Whether the value is the same whatever the inputs hold: it depends on their sizes at most.
bool depends_on_sizes_alone(const Graph& graph, ValueId value) {
  std::vector<ValueId> pending = {value};
  std::vector<bool> seen(graph.value_count(), false);
  while (!pending.empty()) {
    const ValueId at = pending.back();
    pending.pop_back();
    if (at == kNoValue || graph.is_constant(at) || seen[static_cast<std::size_t>(at)]) continue;
    seen[static_cast<std::size_t>(at)] = true;
    if (graph.value(at).producer == kNoNode) return false;
    const Node& node = graph.node(graph.value(at).producer);
    if (node.op->name == "Shape" || node.op->name == "Size") continue;
    pending.insert(pending.end(), node.inputs.begin(), node.inputs.end());
  }
  return true;
}

std::map<ValueId, Tensor> probe_feeds(const Graph& graph, std::int64_t size) {
  std::map<ValueId, Tensor> feeds;
  for (const ValueId input : graph.inputs()) {
    const graph::Value& value = graph.value(input);
    Dim::Bindings sizes;
    for (const Dim& dim : value.shape) {
      for (const std::string& name : dim.symbols()) sizes.emplace(name, size);
    }
    Tensor zeros(value.dtype, tenon::evaluate(value.shape, sizes));
    std::fill_n(zeros.data(), zeros.bytes(), std::byte{0});
    feeds.emplace(input, std::move(zeros));
  }
  return feeds;
}

bool is_causal(const Tensor& mask) {
  const Shape& shape = mask.shape();
  if (shape.size() < 2) return false;
  const std::int64_t queries = shape[shape.size() - 2];
  const std::int64_t keys = shape.back();
  if (queries != keys || mask.count() == 0) return false;
  const bool is_bool = mask.dtype() == DType::boolean;
  const Tensor numbers = converted(mask.view(), DType::f64);
  for (std::int64_t i = 0; i < mask.count(); ++i) {
    const double found = numbers.as<double>()[static_cast<std::size_t>(i)];
    const bool visible = i % keys <= i / keys % queries;
    if (is_bool ? (found != 0) != visible : visible ? found != 0 : !(found <= kHidden))
      return false;
  }
  return true;
}

bool mask_is_causal(const Graph& graph, const PassContext& context, ValueId mask) {
  if (!context.evaluate || !depends_on_sizes_alone(graph, mask)) return false;
  try {
    return std::all_of(std::begin(kProbes), std::end(kProbes), [&](std::int64_t size) {
      const ValueId wanted[] = {mask};
      return is_causal(context.evaluate(graph, wanted, probe_feeds(graph, size)).at(0));
    });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    return false;
  }
}

// Evaluated once for each mask: all layers of a model share theirs.
class CausalMasks {
 public:
  CausalMasks(const PassContext& context) : context_(context) {}
  int take(Graph& graph, NodeId id) {
    Node& node = graph.node(id);
    if (node.inputs.size() < 4 || node.inputs[3] == kNoValue) return 0;
    // A square mask that broadcasts over keys or queries is none.
    const auto& mask = graph.value(node.inputs[3]).shape;
    const auto tokens = [&](std::size_t input) {
      const auto& shape = graph.value(node.inputs[input]).shape;
      return shape[shape.size() - 2];
    };
    if (mask.size() < 2 || mask.back() != tokens(1) || mask[mask.size() - 2] != tokens(0)) return 0;
    const auto [known, inserted] = causal_.emplace(node.inputs[3], false);
    if (inserted) known->second = mask_is_causal(graph, context_, node.inputs[3]);
    if (!known->second) return 0;
    node.inputs.resize(3);
    node.attributes.set("is_causal", std::int64_t{1});
    return 1;
  }

 private:
  const PassContext& context_;
  std::map<ValueId, bool> causal_;
};

// reshape(transpose(attended)) [batch, tokens, heads * width], when nothing else reads what is
// between but for its sizes.
ValueId rows_after(const Graph& graph, const Readers& readers, ValueId attended) {
  const NodeId turned = only_reader(graph, readers, attended);
  if (turned == kNoNode) return kNoValue;
  const Node& transpose = graph.node(turned);
  if (transpose.op->name != "Transpose" ||
      transpose.attributes.get_ints("perm") != std::vector<std::int64_t>{0, 2, 1, 3})
    return kNoValue;
  const NodeId joined = only_reader(graph, readers, transpose.outputs[0]);
  if (joined == kNoNode || graph.node(joined).op->name != "Reshape") return kNoValue;
  return graph.node(joined).outputs[0];
}

bool take_rows(Graph& graph, const Readers& readers, NodeId id) {
  const Node node = graph.node(id);
  const ValueId rows = rows_after(graph, readers, node.outputs[0]);
  const auto& query = graph.value(node.inputs[0]).shape;
  const auto heads = query[1].constant();
  const auto kv_heads = graph.value(node.inputs[1]).shape[1].constant();
  const auto width = query[3].constant();
  if (rows == kNoValue || !heads || !kv_heads || !width) return false;
  if (graph.value(node.inputs[2]).shape[3].constant() != width) return false;
  const auto q = trace_heads(graph, node.inputs[0]);
  const auto k = trace_heads(graph, node.inputs[1]);
  const auto v = trace_heads(graph, node.inputs[2]);
  if (!q || !k || !v) return false;
  Attributes attributes = node.attributes;
  attributes.set("q_heads", *heads);
  attributes.set("kv_heads", *kv_heads);
  attributes.set("head_dim", *width);
  const std::pair<const char*, const HeadLayout*> operands[] = {{"q", &*q}, {"k", &*k}, {"v", &*v}};
  for (const auto& [letter, layout] : operands) {
    attributes.set(std::string(letter) + "_offset", layout->offset);
    attributes.set(std::string(letter) + "_head_stride", layout->head_stride);
  }
  std::vector<ValueId> inputs = {q->rows, k->rows, v->rows};
  inputs.insert(inputs.end(), node.inputs.begin() + 3, node.inputs.end());
  return replace_with(graph, rows, "tenon.Attention", node.name, std::move(inputs),
                      std::move(attributes), node.module);
}

}  // namespace

int fuse_attention_rows(Graph& graph, const PassContext& context) {
  int taken = 0;
  CausalMasks masks(context);
  const Readers readers(graph);
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->name != "tenon.Attention") continue;
    const bool has_rows = graph.value(node.inputs[0]).shape.size() == 3;
    const int causal = masks.take(graph, id);
    if (context.target.precision != Precision::fp32)
      graph.node(id).attributes.set("precision", std::string("bf16"));
    taken += !has_rows && take_rows(graph, readers, id) ? 1 : causal;
  }
  return taken;
}

}  // namespace tenon::passes
