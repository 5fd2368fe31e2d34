#include "models/decoder_builder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::models {
namespace {

constexpr std::int64_t kToEnd = std::numeric_limits<std::int64_t>::max();

// "model.layers.0.self_attn" -> "/model/layers.0/self_attn", as exporters of PyTorch models name
// nodes.
std::string scope(const std::string& module) {
  std::string path = "/";
  for (std::size_t i = 0; i < module.size(); ++i) {
    const bool index_follows =
        i + 1 < module.size() && std::isdigit(static_cast<unsigned char>(module[i + 1])) != 0;
    path += module[i] == '.' && !index_follows ? '/' : module[i];
  }
  return path;
}

}  // namespace

DecoderBuilder::DecoderBuilder(const DecoderShape& shape, const Rotary& rotary,
                               const Weights& weights, const BuildOptions& options)
    : shape_(shape), rotary_(rotary), weights_(weights), options_(options) {
  const Dim batch = Dim::symbol("batch_size");
  const Dim sequence = Dim::symbol("sequence_length");
  const bool pools = options.pooling != Pooling::none;
  options_.with_past = options.with_past && !pools;
  const Dim past = options_.with_past ? Dim::symbol("past_sequence_length") : Dim(0);
  input_ids_ = graph_.add_input("input_ids", DType::i64, {batch, sequence});
  attention_mask_ = graph_.add_input("attention_mask", DType::i64, {batch, past + sequence});
  position_ids_ =
      pools ? positions_of_kept() : graph_.add_input("position_ids", DType::i64, {batch, sequence});
  for (std::int64_t layer = 0; options_.with_past && layer < shape.layers; ++layer) {
    for (const char* part : {"key", "value"}) {
      past_.push_back(graph_.add_input(fmt::format("past_key_values.{}.{}", layer, part),
                                       options.dtype,
                                       {batch, shape.kv_heads, past, shape.head_dim}));
    }
  }
  make_mask();
  make_rotary_tables();
}

ValueId DecoderBuilder::node(const std::string& module, const char* op, std::vector<ValueId> inputs,
                             Attributes attributes) {
  return graph_.add(op, scope(module) + "/" + op, std::move(inputs), std::move(attributes), module);
}

ValueId DecoderBuilder::ints(const std::vector<std::int64_t>& values) {
  return graph_.add_constant("constant",
                             Tensor::from_ints({static_cast<std::int64_t>(values.size())}, values));
}

ValueId DecoderBuilder::scalar_int(std::int64_t value) {
  return graph_.add_constant("constant", Tensor::from_ints({}, std::span(&value, 1)));
}

ValueId DecoderBuilder::scalar_float(float value) {
  return graph_.add_constant("constant", Tensor::from_floats({}, std::span(&value, 1)));
}

ValueId DecoderBuilder::cast(const std::string& module, ValueId x, DType dtype) {
  if (graph_.value(x).dtype == dtype) return x;
  return node(module, "Cast", {x}, {{"to", onnx_type(dtype)}});
}

ValueId DecoderBuilder::weight(const std::string& name, const Shape& shape) {
  return graph_.add_constant(name, cast_source(weights_(name, shape), options_.dtype));
}

ValueId DecoderBuilder::slice_last(const std::string& module, ValueId x, std::int64_t begin,
                                   std::int64_t end) {
  return node(module, "Slice", {x, ints({begin}), ints({end}), ints({-1})});
}

// A scalar: the size of x along an axis.
ValueId DecoderBuilder::dimension_of(ValueId x, std::int64_t axis) {
  const ValueId shape = node("model", "Shape", {x});
  return node("model", "Gather", {shape, scalar_int(axis)}, {{"axis", std::int64_t{0}}});
}

ValueId DecoderBuilder::kept_tokens() {
  return node("model", "Cast", {attention_mask_}, {{"to", onnx_type(DType::boolean)}});
}

// Counted over the tokens that the mask keeps; what stands before them is at 0.
ValueId DecoderBuilder::positions_of_kept() {
  const std::string module = "model";
  const ValueId counted =
      node(module, "CumSum", {cast(module, kept_tokens(), DType::i64), scalar_int(1)});
  return node(module, "Max", {node(module, "Sub", {counted, scalar_int(1)}), scalar_int(0)});
}

// Where a query may look: at keys up to its own place that are not padding.
void DecoderBuilder::make_mask() {
  const std::string module = "model";
  const ValueId sequence = dimension_of(input_ids_, 1);
  const ValueId past = options_.with_past ? dimension_of(past_[0], 2) : scalar_int(0);
  const ValueId total = node(module, "Add", {past, sequence});
  const ValueId queries = node(module, "Range", {past, total, scalar_int(1)});
  const ValueId keys = node(module, "Range", {scalar_int(0), total, scalar_int(1)});
  const ValueId causal = node(module, "LessOrEqual",
                              {node(module, "Unsqueeze", {keys, ints({0})}),
                               node(module, "Unsqueeze", {queries, ints({1})})});
  const ValueId allowed =
      node(module, "And", {causal, node(module, "Unsqueeze", {kept_tokens(), ints({1, 2})})});
  mask_ = node(module, "Where",
               {allowed, scalar_float(0), scalar_float(std::numeric_limits<float>::lowest())});
}

// [dim / 2] for fixed frequencies; [1, 1, dim / 2] computed from the longest position for dynamic
// ones: theta' = theta * (factor * length / original - (factor - 1)) ^ (dim / (dim - 2)).
ValueId DecoderBuilder::frequencies() {
  const std::string module = "model.rotary_emb";
  const auto half = static_cast<std::int64_t>(rotary_.inv_freq.size());
  if (!rotary_.dynamic)
    return graph_.add_constant("model.rotary_emb.inv_freq",
                               Tensor::from_floats({half}, rotary_.inv_freq));
  const auto& rule = *rotary_.dynamic;
  // Texts that are pooled do not know of each other; elsewhere a run has one length, as
  // transformers has it.
  const ValueId axes = options_.pooling == Pooling::none ? ints({0, 1}) : ints({1});
  const ValueId last =
      node(module, "ReduceMax", {position_ids_, axes}, {{"keepdims", std::int64_t{1}}});
  const ValueId length = node(module, "Add", {last, scalar_int(1)});
  const ValueId at_least =
      node(module, "Max", {cast(module, length, DType::f32), scalar_float(rule.original_length)});
  const ValueId stretched =
      node(module, "Mul", {at_least, scalar_float(rule.factor / rule.original_length)});
  const ValueId grown = node(module, "Sub", {stretched, scalar_float(rule.factor - 1)});
  const auto dim = static_cast<float>(rotary_.dim);
  const ValueId power = node(module, "Pow", {grown, scalar_float(dim / (dim - 2))});
  const ValueId theta = node(module, "Mul", {power, scalar_float(rule.theta)});
  std::vector<float> exponents;
  for (std::int64_t i = 0; i < half; ++i) exponents.push_back(-2 * static_cast<float>(i) / dim);
  const ValueId wide = node(module, "Unsqueeze", {theta, ints({2})});
  return node(module, "Pow",
              {wide, graph_.add_constant("model.rotary_emb.exponents",
                                         Tensor::from_floats({half}, exponents))});
}

void DecoderBuilder::make_rotary_tables() {
  const std::string module = "model.rotary_emb";
  const ValueId positions =
      node(module, "Unsqueeze", {cast(module, position_ids_, DType::f32), ints({2})});
  const ValueId angles = node(module, "Mul", {positions, frequencies()});
  const ValueId both = node(module, "Concat", {angles, angles}, {{"axis", std::int64_t{-1}}});
  const auto table = [&](const char* function) {
    ValueId value = node(module, function, {both});
    if (rotary_.attention_factor != 1.0F)
      value = node(module, "Mul", {value, scalar_float(rotary_.attention_factor)});
    return node(module, "Unsqueeze", {cast(module, value, options_.dtype), ints({1})});
  };
  cos_ = table("Cos");
  sin_ = table("Sin");
}

ValueId DecoderBuilder::embed(const std::string& module) {
  embedding_weight_ = module + ".weight";
  const ValueId table = weight(embedding_weight_, {shape_.vocabulary, shape_.hidden});
  return node(module, "Gather", {table, input_ids_}, {{"axis", std::int64_t{0}}});
}

ValueId DecoderBuilder::linear(const std::string& module, ValueId x, std::int64_t in,
                               std::int64_t out, bool bias) {
  const SourcePtr source = cast_source(weights_(module + ".weight", {out, in}), options_.dtype);
  const ValueId matrix =
      graph_.add_constant(module + ".weight.transposed", transposed_source(source));
  ValueId y = node(module, "MatMul", {x, matrix});
  if (bias) y = node(module, "Add", {y, weight(module + ".bias", {out})});
  return y;
}

ValueId DecoderBuilder::rms_norm(const std::string& module, ValueId x, double epsilon) {
  return node(module, "RMSNormalization", {x, weight(module + ".weight", {shape_.hidden})},
              {{"axis", std::int64_t{-1}},
               {"epsilon", static_cast<float>(epsilon)},
               {"stash_type", std::int64_t{1}}});
}

ValueId DecoderBuilder::layer_norm(const std::string& module, ValueId x, double epsilon) {
  const ValueId scale = weight(module + ".weight", {shape_.hidden});
  const ValueId shift = weight(module + ".bias", {shape_.hidden});
  return node(module, "LayerNormalization", {x, scale, shift},
              {{"axis", std::int64_t{-1}},
               {"epsilon", static_cast<float>(epsilon)},
               {"stash_type", std::int64_t{1}}});
}

ValueId DecoderBuilder::activation(const std::string& module, const std::string& function,
                                   ValueId x) {
  if (function == "silu" || function == "swish") return node(module, "Swish", {x});
  if (function == "gelu") return node(module, "Gelu", {x});
  if (function == "gelu_new" || function == "gelu_fast" || function == "gelu_pytorch_tanh") {
    return node(module, "Gelu", {x}, {{"approximate", std::string("tanh")}});
  }
  if (function == "relu") return node(module, "Relu", {x});
  bad_input(
      "hidden_act \"{}\" is not supported; silu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh and "
      "relu are",
      function);
}

ValueId DecoderBuilder::add(const std::string& module, ValueId a, ValueId b) {
  return node(module, "Add", {a, b});
}

ValueId DecoderBuilder::multiply(const std::string& module, ValueId a, ValueId b) {
  return node(module, "Mul", {a, b});
}

ValueId DecoderBuilder::split_heads(const std::string& module, ValueId x, std::int64_t heads,
                                    std::int64_t head_dim) {
  const ValueId parted = node(module, "Reshape", {x, ints({0, 0, heads, head_dim})});
  return node(module, "Transpose", {parted}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
}

std::vector<ValueId> DecoderBuilder::split_qkv(const std::string& module, ValueId x) {
  graph::Node made;
  made.name = scope(module) + "/Split";
  made.module = module;
  made.op = &graph::find_op("Split");
  made.inputs = {x, ints({shape_.head_dim, shape_.head_dim, shape_.head_dim})};
  made.outputs.resize(3);
  made.attributes.set("axis", std::int64_t{-1});
  return graph_.node(graph_.add_node(std::move(made))).outputs;
}

ValueId DecoderBuilder::rotate(const std::string& module, ValueId x) {
  const bool partial = rotary_.dim < shape_.head_dim;
  const ValueId turned = partial ? slice_last(module, x, 0, rotary_.dim) : x;
  const ValueId first = slice_last(module, turned, 0, rotary_.dim / 2);
  const ValueId second = slice_last(module, turned, rotary_.dim / 2, kToEnd);
  const ValueId half =
      node(module, "Concat", {node(module, "Neg", {second}), first}, {{"axis", std::int64_t{-1}}});
  const ValueId rotated = add(module, multiply(module, turned, cos_), multiply(module, half, sin_));
  if (!partial) return rotated;
  return node(module, "Concat", {rotated, slice_last(module, x, rotary_.dim, kToEnd)},
              {{"axis", std::int64_t{-1}}});
}

// Each key/value head serves heads / kv_heads queries.
ValueId DecoderBuilder::repeat_heads(const std::string& module, ValueId x) {
  const std::int64_t group = shape_.heads / shape_.kv_heads;
  if (group == 1) return x;
  const ValueId lengths = node(module, "Shape", {x});
  const ValueId front = node(module, "Slice", {lengths, ints({0}), ints({2}), ints({0})});
  const ValueId back = node(module, "Slice", {lengths, ints({2}), ints({4}), ints({0})});
  const ValueId wide =
      node(module, "Concat", {front, ints({group}), back}, {{"axis", std::int64_t{0}}});
  const ValueId repeated =
      node(module, "Expand", {node(module, "Unsqueeze", {x, ints({2})}), wide});
  const ValueId batch = node(module, "Slice", {lengths, ints({0}), ints({1}), ints({0})});
  const ValueId merged =
      node(module, "Concat", {batch, ints({shape_.heads}), back}, {{"axis", std::int64_t{0}}});
  return node(module, "Reshape", {repeated, merged});
}

ValueId DecoderBuilder::attend(const std::string& module, std::int64_t layer, ValueId q, ValueId k,
                               ValueId v) {
  q = rotate(module, q);
  k = rotate(module, k);
  if (options_.with_past) {
    const auto index = static_cast<std::size_t>(layer) * 2;
    k = node(module, "Concat", {past_[index], k}, {{"axis", std::int64_t{2}}});
    v = node(module, "Concat", {past_[index + 1], v}, {{"axis", std::int64_t{2}}});
    present_.push_back(k);
    present_.push_back(v);
  }
  const ValueId keys = node(module, "Transpose", {repeat_heads(module, k)},
                            {{"perm", std::vector<std::int64_t>{0, 1, 3, 2}}});
  // Scaling the query first keeps the products inside float16 where the scores themselves would
  // leave it.
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape_.head_dim)));
  const ValueId factor = graph_.add_constant(
      "constant", converted(Tensor::from_floats({}, std::span(&scale, 1)).view(), options_.dtype));
  const ValueId scores = node(module, "MatMul", {multiply(module, q, factor), keys});
  const ValueId masked = add(module, cast(module, scores, DType::f32), mask_);
  const ValueId weights = node(module, "Softmax", {masked}, {{"axis", std::int64_t{-1}}});
  const ValueId mixed =
      node(module, "MatMul", {cast(module, weights, options_.dtype), repeat_heads(module, v)});
  const ValueId back =
      node(module, "Transpose", {mixed}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
  return node(module, "Reshape", {back, ints({0, 0, shape_.heads * shape_.head_dim})});
}

// States of the tokens that count, summed over the sequence; a select, so that a state that is not
// finite does not matter where the mask is 0.
ValueId DecoderBuilder::pooled(ValueId hidden) {
  const std::string module = "pooling";
  ValueId counts = kept_tokens();
  if (options_.pooling == Pooling::last) {
    const ValueId numbers =
        node(module, "Range", {scalar_int(0), dimension_of(input_ids_, 1), scalar_int(1)});
    const ValueId places = node(module, "Mul", {numbers, cast(module, counts, DType::i64)});
    const ValueId last =
        node(module, "ReduceMax", {places, ints({1})}, {{"keepdims", std::int64_t{1}}});
    counts = node(module, "And", {counts, node(module, "Equal", {numbers, last})});
  }
  const ValueId states = node(module, "Where",
                              {node(module, "Unsqueeze", {counts, ints({2})}),
                               cast(module, hidden, DType::f32), scalar_float(0)});
  const ValueId sum =
      node(module, "ReduceSum", {states, ints({1})}, {{"keepdims", std::int64_t{0}}});
  if (options_.pooling == Pooling::last) return sum;
  const ValueId tokens = node(module, "ReduceSum", {cast(module, counts, DType::f32), ints({1})},
                              {{"keepdims", std::int64_t{1}}});
  return node(module, "Div", {sum, node(module, "Max", {tokens, scalar_float(1)})});
}

graph::Graph DecoderBuilder::finish(const std::string& head_module, ValueId hidden, bool tied,
                                    bool bias) {
  if (options_.pooling != Pooling::none) {
    graph_.mark_output(pooled(hidden), kPooledOutput);
    graph_.tidy();
    return std::move(graph_);
  }
  ValueId logits;
  if (tied) {
    const ValueId table = *graph_.find_value(embedding_weight_);
    logits = node(head_module, "MatMul",
                  {hidden, node(head_module, "Transpose", {table},
                                {{"perm", std::vector<std::int64_t>{1, 0}}})});
  } else {
    logits = linear(head_module, hidden, shape_.hidden, shape_.vocabulary, bias);
  }
  graph_.mark_output(logits, "logits");
  for (std::size_t i = 0; i < present_.size(); ++i) {
    graph_.mark_output(present_[i],
                       fmt::format("present.{}.{}", i / 2, i % 2 == 0 ? "key" : "value"));
  }
  graph_.tidy();
  return std::move(graph_);
}

}  // namespace tenon::models
