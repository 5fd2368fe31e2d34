// Quantised forms as real numbers: weights of few bits are read as what they stand for, and
// activations that a file quantises as it runs stay as they are. The file's integer arithmetic
// approximates what is computed here.
#include <array>

#include "onnx/quantized_source.h"
#include "onnx/upgrade.h"

namespace tenon::onnx {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::ValueId;

// Ends the name of a weight whose scale is not in yet.
constexpr std::string_view kIntegers = "/integers";

void become(OldNode& node, std::string_view op, std::vector<ValueId> inputs,
            Attributes attributes = {}) {
  node.domain.clear();
  node.op = op;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  if (!node.outputs.empty()) node.outputs.resize(1);
}

SourcePtr constant_input(const OldNode& node, std::size_t index, const char* what) {
  if (!node.has_input(index)) return nullptr;
  const SourcePtr source = node.value(index).constant;
  if (source == nullptr) bad_input("{} ({}) is no constant", what, node.value(index).name);
  return source;
}

// One name for each: several products may read the same weight with different scales.
ValueId add_weight(OldNode& node, const std::string& name, SourcePtr source) {
  std::string free = name;
  for (int i = 1; node.graph().find_value(free); ++i) free = fmt::format("{}_{}", name, i);
  return node.graph().add_constant(free, std::move(source));
}

ValueId behind(const Graph& graph, ValueId value, bool casts) {
  for (int depth = 0; depth < 8; ++depth) {
    const graph::Node* node = graph.producer_of(value, "Identity");
    if (node == nullptr && casts) node = graph.producer_of(value, "Cast");
    if (node == nullptr) break;
    value = node->inputs[0];
  }
  return value;
}

bool is_one(const Graph& graph, ValueId value) {
  const SourcePtr& source = graph.value(value).constant;
  return source != nullptr && source->dtype() == DType::f32 &&
         element_count(source->shape()) == 1 && source->load().as<float>()[0] == 1.0F;
}

// [n] along an axis of a value of that rank.
ValueId along(OldNode& node, ValueId vector, std::int64_t axis, std::size_t rank) {
  if (node.graph().value(vector).shape.size() != 1) return vector;
  std::vector<std::int64_t> shape(rank, 1);
  if (axis < 0) axis += static_cast<std::int64_t>(rank);
  if (axis < 0 || axis >= static_cast<std::int64_t>(rank))
    bad_input("axis {} of a value of rank {}", axis, rank);
  if (node.graph().value(vector).shape[0].constant() == 1)
    shape.assign(rank, 1);
  else
    shape[static_cast<std::size_t>(axis)] = -1;
  return node.add("Reshape", {vector, node.ints("along", shape)});
}

ValueId as_float(OldNode& node, ValueId value) {
  if (node.graph().value(value).dtype == DType::f32) return value;
  return node.add("Cast", {value}, {{"to", onnx_type(DType::f32)}});
}

// Product of A and a weight of integers, which waits for its scale.
const graph::Node* unscaled_product(const Graph& graph, ValueId value) {
  const graph::Node* product = graph.producer_of(behind(graph, value, true), "MatMul");
  return product != nullptr && graph.is_constant(product->inputs[1]) &&
                 graph.value(product->inputs[1]).name.find(kIntegers) != std::string::npos
             ? product
             : nullptr;
}

}  // namespace

void upgrade_matmul_nbits(OldNode& node) {
  if (node.has_input(4)) bad_input("g_idx ({}) is not supported", node.value(4).name);
  const BlockFormat format{node.attributes.get_int("K", 0), node.attributes.get_int("N", 0),
                           node.attributes.get_int("bits", 4),
                           node.attributes.get_int("block_size", 0)};
  node.input(1);
  node.input(2);
  const SourcePtr weight =
      block_source(format, constant_input(node, 1, "B"), constant_input(node, 2, "scales"),
                   constant_input(node, 3, "zero_points"));
  const ValueId b = add_weight(node, node.value(1).name + "/dequantized",
                               cast_source(weight, node.value(0).dtype));
  if (!node.has_input(5)) return become(node, "MatMul", {node.input(0), b});
  const ValueId bias = node.input(5);
  become(node, "Add", {node.add("MatMul", {node.input(0), b}), bias});
}

// The numbers themselves, with scale 1 and zero point 0.
void upgrade_dynamic_quantize_linear(OldNode& node) {
  const auto named = [&](std::size_t index, Tensor tensor) {
    if (node.needs_output(index)) node.graph().add_constant(node.outputs[index], std::move(tensor));
  };
  named(1, Tensor::from_floats({}, std::array{1.0F}));
  Tensor zero(DType::u8, {});
  zero.as<std::uint8_t>()[0] = 0;
  named(2, std::move(zero));
  become(node, "Identity", {node.input(0)});
}

void upgrade_matmul_integer(OldNode& node) {
  const auto real = [&](std::size_t index) {
    if (node.value(index).dtype != DType::f32) {
      bad_input(
          "input {} of MatMulInteger is {}, only what DynamicQuantizeLinear gives is supported",
          node.value(index).name, dtype_name(node.value(index).dtype));
    }
    return node.input(index);
  };
  if (!node.graph().is_constant(node.input(1))) return become(node, "MatMul", {real(0), real(1)});
  const SourcePtr one = owned_source(Tensor::from_floats({}, std::array{1.0F}));
  const SourcePtr weight =
      scaled_source(node.value(1).constant, one, constant_input(node, 3, "the zero point"), -1);
  become(node, "MatMul",
         {real(0), add_weight(node, node.value(1).name + std::string(kIntegers), weight)});
}

// The scale of a product of integers moves into its weight, and the ones of DynamicQuantizeLinear
// go.
void upgrade_scaled_product(OldNode& node) {
  const Graph& graph = node.graph();
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    if (!node.has_input(i) || !node.has_input(1 - i)) return;
    const ValueId factor = behind(graph, node.input(i), false);
    const ValueId other = behind(graph, node.input(1 - i), false);
    if (!graph.is_constant(factor)) continue;
    const bool of_product = graph.producer_of(behind(graph, other, true), "MatMul") != nullptr &&
                            graph.producer_of(other, "Cast") != nullptr;
    if ((graph.is_constant(other) || of_product) && is_one(graph, factor))
      return become(node, "Identity", {node.input(1 - i)});
    const graph::Node* product = unscaled_product(graph, other);
    if (product == nullptr || graph.value(factor).dtype != DType::f32) continue;
    const graph::Value& weight = graph.value(product->inputs[1]);
    const std::string name = weight.name.substr(0, weight.name.rfind(kIntegers));
    const SourcePtr scaled =
        scaled_source(weight.constant, graph.value(factor).constant, nullptr, -1);
    const ValueId a = product->inputs[0];
    return become(node, "MatMul", {a, add_weight(node, name + "/dequantized", scaled)});
  }
}

void upgrade_dequantize_linear(OldNode& node) {
  if (node.attributes.get_int("block_size", 0) != 0)
    bad_input("DequantizeLinear with a block_size is not supported");
  if (node.value(1).dtype != DType::f32)
    bad_input("DequantizeLinear to {} is not supported", dtype_name(node.value(1).dtype));
  const std::int64_t axis = node.attributes.get_int("axis", 1);
  const graph::Value& x = node.value(0);
  const bool known_zero = !node.has_input(2) || node.value(2).constant != nullptr;
  if (x.constant != nullptr && node.value(1).constant != nullptr && known_zero) {
    const SourcePtr zero = node.has_input(2) ? node.value(2).constant : nullptr;
    const SourcePtr made = scaled_source(x.constant, node.value(1).constant, zero, axis);
    return become(node, "Identity", {add_weight(node, x.name + "/dequantized", made)});
  }
  const std::size_t rank = x.shape.size();
  ValueId value = as_float(node, node.input(0));
  if (node.has_input(2))
    value = node.add("Sub", {value, along(node, as_float(node, node.input(2)), axis, rank)});
  become(node, "Mul", {value, along(node, node.input(1), axis, rank)});
}

void upgrade_quantize_linear(OldNode& node) {
  if (node.attributes.get_int("block_size", 0) != 0)
    bad_input("QuantizeLinear with a block_size is not supported");
  const DType type = node.has_input(2) ? node.value(2).dtype : DType::u8;
  const std::int64_t asked = node.attributes.get_int("output_dtype", 0);
  if ((type != DType::u8 && type != DType::i8) || (asked != 0 && asked != onnx_type(type)))
    bad_input("QuantizeLinear to {} is not supported, int8 and uint8 are", dtype_name(type));
  if (node.value(0).dtype != DType::f32 || node.value(1).dtype != DType::f32)
    bad_input("QuantizeLinear of {} is not supported", dtype_name(node.value(0).dtype));
  const std::int64_t axis = node.attributes.get_int("axis", 1);
  const std::size_t rank = node.rank(0);
  ValueId value = node.add("Div", {node.input(0), along(node, node.input(1), axis, rank)});
  value = node.add("Round", {value});
  if (node.has_input(2))
    value = node.add("Add", {value, along(node, as_float(node, node.input(2)), axis, rank)});
  const bool is_signed = type == DType::i8;
  value = node.add("Clip", {value, node.scalar("least", DType::f32, is_signed ? -128 : 0),
                            node.scalar("most", DType::f32, is_signed ? 127 : 255)});
  become(node, "Cast", {value}, {{"to", onnx_type(type)}});
}

}  // namespace tenon::onnx
