// What ONNX Runtime's tools put into decoders, in standard operators.
#include "onnx/upgrade.h"

namespace tenon::onnx {
namespace {

void refuse_outputs(const OldNode& node, std::initializer_list<std::size_t> indices) {
  for (const std::size_t index : indices) {
    if (node.needs_output(index))
      bad_input("output {} ({}) is not supported", index, node.outputs[index]);
  }
}

void become(OldNode& node, std::string_view op, std::vector<graph::ValueId> inputs,
            Attributes attributes = {}) {
  node.domain.clear();
  node.op = op;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  if (!node.outputs.empty()) node.outputs.resize(1);
}

graph::ValueId swapped_last(OldNode& node, graph::ValueId value) {
  const auto rank = static_cast<std::int64_t>(node.graph().value(value).shape.size());
  if (rank < 2) bad_input("a tensor of rank {} cannot be transposed", rank);
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < rank - 2; ++i) order.push_back(i);
  order.push_back(rank - 1);
  order.push_back(rank - 2);
  return node.add("Transpose", {value}, {{"perm", order}});
}

}  // namespace

void upgrade_standard_name(OldNode& node) { node.domain.clear(); }

void upgrade_simplified_layer_normalization(OldNode& node) {
  refuse_outputs(node, {1});
  become(node, "RMSNormalization", {node.input(0), node.input(1)}, node.attributes);
}

// input + skip (+ bias), normalised; the sum is an output too.
void upgrade_skip_layer_normalization(OldNode& node) {
  refuse_outputs(node, {1, 2});
  const bool simple = node.op == "SkipSimplifiedLayerNormalization";
  const std::size_t bias = simple ? 3 : 4;
  const std::string sum_name = node.needs_output(3) ? node.outputs[3] : std::string();
  graph::ValueId sum = graph::kNoValue;
  if (node.has_input(bias)) {
    const graph::ValueId part = node.add("Add", {node.input(0), node.input(1)});
    sum = node.add("Add", {part, node.input(bias)}, {}, sum_name);
  } else {
    sum = node.add("Add", {node.input(0), node.input(1)}, {}, sum_name);
  }
  const Attributes attributes = {{"axis", std::int64_t{-1}},
                                 {"epsilon", node.attributes.get_float("epsilon", 1e-5F)}};
  std::vector<graph::ValueId> inputs = {sum, node.input(2)};
  if (!simple && node.has_input(3)) inputs.push_back(node.input(3));
  become(node, simple ? "RMSNormalization" : "LayerNormalization", std::move(inputs), attributes);
}

void upgrade_bias_gelu(OldNode& node) {
  become(node, "Gelu", {node.add("Add", {node.input(0), node.input(1)})});
}

void upgrade_fast_gelu(OldNode& node) {
  graph::ValueId x = node.input(0);
  if (node.has_input(1)) x = node.add("Add", {x, node.input(1)});
  become(node, "Gelu", {x}, {{"approximate", std::string("tanh")}});
}

void upgrade_quick_gelu(OldNode& node) {
  const float alpha = node.attributes.get_float("alpha", 1.702F);
  become(node, "Swish", {node.input(0)}, {{"alpha", alpha}});
}

void upgrade_fused_matmul(OldNode& node) {
  node.drop_int("transBatchA", 0);
  node.drop_int("transBatchB", 0);
  const DType type = node.value(0).dtype;
  const float alpha = node.attributes.get_float("alpha", 1.0F);
  graph::ValueId a = node.input(0);
  graph::ValueId b = node.input(1);
  if (node.attributes.get_int("transA", 0) != 0) a = swapped_last(node, a);
  if (node.attributes.get_int("transB", 0) != 0) b = swapped_last(node, b);
  if (alpha == 1.0F) return become(node, "MatMul", {a, b});
  const graph::ValueId product = node.add("MatMul", {a, b});
  become(node, "Mul", {product, node.scalar("alpha", type, alpha)});
}

// The positions come before the caches here; a single position that is an offset has no standard
// form.
void upgrade_rotary_embedding(OldNode& node) {
  node.drop_int("is_packed_batching", 0);
  if (node.attributes.get_float("scale", 1.0F) != 1.0F) {
    bad_input("RotaryEmbedding with a scale is not supported");
  }
  if (node.rank(1) != 2) {
    bad_input("position_ids of rank {} are not supported, [batch, sequence] was expected",
              node.rank(1));
  }
  const std::int64_t rotated = node.attributes.get_int("rotary_embedding_dim", 0);
  std::int64_t heads = node.attributes.get_int("num_heads", 0);
  if (node.rank(0) == 3 && heads == 0) {
    const auto width = node.value(0).shape[2].constant();
    const auto half = node.value(2).shape.back().constant();
    if (rotated != 0 || !width || !half || *half <= 0) {
      bad_input("attribute num_heads is missing and cannot be told from the shapes");
    }
    heads = *width / (2 * *half);
  }
  Attributes attributes = {{"interleaved", node.attributes.get_int("interleaved", 0)},
                           {"rotary_embedding_dim", rotated}};
  if (node.rank(0) == 3) attributes.set("num_heads", heads);
  become(node, "RotaryEmbedding", {node.input(0), node.input(2), node.input(3), node.input(1)},
         attributes);
}

}  // namespace tenon::onnx
