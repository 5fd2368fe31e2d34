// One operator on its way into the graph, and the rules that bring old forms up to today's.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"

namespace tenon::onnx {

/// Names that occur anywhere in the model.
struct ModelNames {
  std::set<std::string, std::less<>> written;
  std::set<std::string, std::less<>> read;
};

/// What the file says of one node. A rule changes it into the last node of a sequence and adds the
/// nodes before it with `add`.
class OldNode {
 public:
  OldNode(graph::Graph& graph, const ModelNames& names) : graph_(graph), names_(names) {}

  std::string domain;
  std::string op;
  int opset = 0;
  std::string name;
  std::string module;
  std::vector<graph::ValueId> inputs;
  std::vector<std::string> outputs;  ///< names for the graph, "" where one is left out
  Attributes attributes;
  std::map<std::string, SourcePtr, std::less<>> tensors;  ///< attributes that are tensors

  graph::Graph& graph() noexcept { return graph_; }
  bool has_input(std::size_t index) const {
    return index < inputs.size() && inputs[index] != graph::kNoValue;
  }
  /// Error(bad_input) when it is absent.
  graph::ValueId input(std::size_t index) const;
  const graph::Value& value(std::size_t index) const { return graph_.value(input(index)); }
  std::size_t rank(std::size_t index) const { return value(index).shape.size(); }
  void set_input(std::size_t index, graph::ValueId value);
  /// Whether something reads the output. Others may be dropped.
  bool needs_output(std::size_t index) const;

  /// A node before this one; `output` names its value, a name of its own when it is "".
  graph::ValueId add(std::string_view op_name, std::vector<graph::ValueId> values,
                     Attributes node_attributes = {}, std::string_view output = {});
  graph::ValueId ints(std::string_view what, std::span<const std::int64_t> values);
  graph::ValueId ints(std::string_view what, std::initializer_list<std::int64_t> values) {
    return ints(what, std::span(values.begin(), values.size()));
  }
  graph::ValueId scalar(std::string_view what, DType type, double number);

  /// Moves the attribute `attribute` into input `index`, which must be free.
  void attribute_to_input(std::string_view attribute, std::size_t index);
  /// Drops an attribute that must be `expected`, or absent.
  void drop_int(std::string_view attribute, std::int64_t expected);

 private:
  std::string unused(std::string_view part);

  graph::Graph& graph_;
  const ModelNames& names_;
};

using Upgrade = void (*)(OldNode&);

struct UpgradeRule {
  std::string_view domain;
  std::string_view op;
  int before;  ///< applies to opsets below
  Upgrade apply;
};

/// Applies every rule for the node, in the order of the table.
void upgrade(OldNode& node);

// One family a file, in upgrade/.
void upgrade_squeeze(OldNode&);
void upgrade_reduce(OldNode&);
void upgrade_split_sizes(OldNode&);
void upgrade_split_count(OldNode&);
void upgrade_clip(OldNode&);
void upgrade_pad(OldNode&);
void upgrade_computed_pads(OldNode&);
void upgrade_slice(OldNode&);
void upgrade_top_k(OldNode&);
void upgrade_softmax(OldNode&);
void upgrade_dropout(OldNode&);
void upgrade_batch_normalization(OldNode&);
void upgrade_group_normalization(OldNode&);
void upgrade_mean_variance_normalization(OldNode&);
void upgrade_lp_normalization(OldNode&);
void upgrade_upsample(OldNode&);
void upgrade_resize_10(OldNode&);
void upgrade_resize(OldNode&);
void upgrade_grid_sample(OldNode&);
void upgrade_scatter(OldNode&);
void upgrade_mean(OldNode&);
void upgrade_constant_of_shape(OldNode&);
void upgrade_random_normal(OldNode&);
void upgrade_random_normal_like(OldNode&);
void upgrade_simplified_layer_normalization(OldNode&);
void upgrade_skip_layer_normalization(OldNode&);
void upgrade_bias_gelu(OldNode&);
void upgrade_fast_gelu(OldNode&);
void upgrade_quick_gelu(OldNode&);
void upgrade_fused_matmul(OldNode&);
void upgrade_rotary_embedding(OldNode&);
void upgrade_standard_name(OldNode&);
void upgrade_group_query_attention(OldNode&);
void upgrade_matmul_nbits(OldNode&);
void upgrade_dynamic_quantize_linear(OldNode&);
void upgrade_matmul_integer(OldNode&);
void upgrade_scaled_product(OldNode&);
void upgrade_dequantize_linear(OldNode&);
void upgrade_quantize_linear(OldNode&);

}  // namespace tenon::onnx
