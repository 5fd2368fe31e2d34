#include "models/module_builder.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::models {
namespace {

constexpr double kQuickGeluSlope = 1.702;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

std::string module_path(const std::string& module) {
  std::string path = "/";
  for (std::size_t i = 0; i < module.size(); ++i) {
    const bool index_follows =
        i + 1 < module.size() && std::isdigit(static_cast<unsigned char>(module[i + 1])) != 0;
    path += module[i] == '.' && !index_follows ? '/' : module[i];
  }
  return path;
}

graph::Graph ModuleBuilder::finish() {
  graph_.tidy();
  return std::move(graph_);
}

ValueId ModuleBuilder::node(const std::string& module, const char* op, std::vector<ValueId> inputs,
                            Attributes attributes) {
  return graph_.add(op, module_path(module) + "/" + op, std::move(inputs), std::move(attributes),
                    module);
}

ValueId ModuleBuilder::ints(const std::vector<std::int64_t>& values) {
  return constant("constant",
                  Tensor::from_ints({static_cast<std::int64_t>(values.size())}, values));
}

ValueId ModuleBuilder::scalar(std::int64_t value) {
  return constant("constant", Tensor::from_ints({}, std::span(&value, 1)));
}

ValueId ModuleBuilder::scalar(float value, DType dtype) {
  return constant("constant",
                  converted(Tensor::from_floats({}, std::span(&value, 1)).view(), dtype));
}

ValueId ModuleBuilder::constant(const std::string& name, Tensor tensor) {
  return graph_.add_constant(name, std::move(tensor));
}

ValueId ModuleBuilder::weight(const std::string& name, const Shape& shape) {
  return graph_.add_constant(name, cast_source(weights_(name, shape), options_.dtype));
}

ValueId ModuleBuilder::cast(const std::string& module, ValueId x, DType dtype) {
  if (graph_.value(x).dtype == dtype) return x;
  return node(module, "Cast", {x}, {{"to", onnx_type(dtype)}});
}

ValueId ModuleBuilder::linear(const std::string& module, ValueId x, std::int64_t in,
                              std::int64_t out, bool bias) {
  const SourcePtr source = cast_source(weights_(module + ".weight", {out, in}), options_.dtype);
  const ValueId matrix =
      graph_.add_constant(module + ".weight.transposed", transposed_source(source));
  const ValueId y = node(module, "MatMul", {x, matrix});
  return bias ? add(module, y, weight(module + ".bias", {out})) : y;
}

ValueId ModuleBuilder::layer_norm(const std::string& module, ValueId x, std::int64_t width,
                                  double epsilon) {
  const ValueId scale = weight(module + ".weight", {width});
  const ValueId shift = weight(module + ".bias", {width});
  return node(module, "LayerNormalization", {x, scale, shift},
              {{"axis", std::int64_t{-1}},
               {"epsilon", static_cast<float>(epsilon)},
               {"stash_type", std::int64_t{1}}});
}

ValueId ModuleBuilder::activation(const std::string& module, const std::string& function, ValueId x,
                                  const char* field) {
  const std::string name = lower(function);
  if (name == "silu" || name == "swish") return node(module, "Swish", {x});
  if (name == "gelu") return node(module, "Gelu", {x});
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh")
    return node(module, "Gelu", {x}, {{"approximate", std::string("tanh")}});
  if (name == "quick_gelu")
    return node(module, "Swish", {x}, {{"alpha", static_cast<float>(kQuickGeluSlope)}});
  if (name == "mish") return node(module, "Mish", {x});
  if (name == "relu") return node(module, "Relu", {x});
  bad_input(
      "field \"{}\" is \"{}\"; silu, swish, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, "
      "quick_gelu, mish and relu are supported",
      field, function);
}

ValueId ModuleBuilder::add(const std::string& module, ValueId a, ValueId b) {
  return node(module, "Add", {a, b});
}

ValueId ModuleBuilder::multiply(const std::string& module, ValueId a, ValueId b) {
  return node(module, "Mul", {a, b});
}

ValueId ModuleBuilder::multiply(const std::string& module, ValueId a, float factor) {
  return multiply(module, a, scalar(factor, graph_.value(a).dtype));
}

ValueId ModuleBuilder::concat(const std::string& module, std::vector<ValueId> parts,
                              std::int64_t axis) {
  return node(module, "Concat", std::move(parts), {{"axis", axis}});
}

ValueId ModuleBuilder::transpose(const std::string& module, ValueId x,
                                 std::vector<std::int64_t> order) {
  return node(module, "Transpose", {x}, {{"perm", std::move(order)}});
}

ValueId ModuleBuilder::reshape(const std::string& module, ValueId x,
                               const std::vector<std::int64_t>& shape) {
  return node(module, "Reshape", {x, ints(shape)});
}

std::pair<ValueId, ValueId> ModuleBuilder::halves(const std::string& module, ValueId x,
                                                  std::int64_t size, std::int64_t axis) {
  graph::Node made;
  made.name = module_path(module) + "/Split";
  made.module = module;
  made.op = &graph::find_op("Split");
  made.inputs = {x, ints({size, size})};
  made.outputs.resize(2);
  made.attributes.set("axis", axis);
  const auto& outputs = graph_.node(graph_.add_node(std::move(made))).outputs;
  return {outputs[0], outputs[1]};
}

ValueId ModuleBuilder::sizes(const std::string& module, ValueId x, std::int64_t begin,
                             std::int64_t end) {
  const ValueId shape = node(module, "Shape", {x});
  return node(module, "Slice", {shape, ints({begin}), ints({end}), ints({0})});
}

}  // namespace tenon::models
