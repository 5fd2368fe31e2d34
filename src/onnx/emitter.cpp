#include "onnx/emitter.h"

#include <cctype>

#include "base/error.h"
#include "graph/op_schema.h"
#include "onnx-ml.pb.h"
#include "onnx/types.h"

namespace tenon::onnx {
namespace {

using ::onnx::AttributeProto;

void write_attribute(const std::string& name, const Attribute& attribute, AttributeProto& out) {
  out.set_name(name);
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::int64_t>) {
          out.set_type(AttributeProto::INT);
          out.set_i(value);
        } else if constexpr (std::is_same_v<T, float>) {
          out.set_type(AttributeProto::FLOAT);
          out.set_f(value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          out.set_type(AttributeProto::STRING);
          out.set_s(value);
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
          out.set_type(AttributeProto::INTS);
          out.mutable_ints()->Add(value.begin(), value.end());
        } else if constexpr (std::is_same_v<T, std::vector<float>>) {
          out.set_type(AttributeProto::FLOATS);
          out.mutable_floats()->Add(value.begin(), value.end());
        } else {
          out.set_type(AttributeProto::STRINGS);
          for (const auto& item : value) out.add_strings(item);
        }
      },
      attribute);
}

void write_tensor(const Tensor& tensor, ::onnx::TensorProto& out) {
  out.set_data_type(static_cast<int>(onnx_type(tensor.dtype())));
  for (const std::int64_t dim : tensor.shape()) out.add_dims(dim);
  out.set_raw_data(reinterpret_cast<const char*>(tensor.data()), tensor.bytes());
}

}  // namespace

std::string node_path(const graph::Node& node) {
  if (node.name.starts_with('/') || node.module.empty()) return node.name;
  std::string path = "/";
  for (std::size_t i = 0; i < node.module.size(); ++i) {
    const bool before_number = i + 1 < node.module.size() &&
                               std::isdigit(static_cast<unsigned char>(node.module[i + 1])) != 0;
    path += node.module[i] == '.' && !before_number ? '/' : node.module[i];
  }
  return path + "/" + std::string(node.op->name);
}

Emitter::Emitter(const graph::Graph& graph, int opset, ::onnx::GraphProto& out)
    : graph_(graph), opset_(opset), out_(out) {
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    values_.insert(graph.value(static_cast<graph::ValueId>(i)).name);
  }
}

std::string Emitter::unique_value(std::string_view wanted) {
  std::string name(wanted);
  for (int suffix = 1; !values_.insert(name).second; ++suffix) {
    name = fmt::format("{}_{}", wanted, suffix);
  }
  return name;
}

std::string Emitter::unique_node(std::string_view wanted) {
  std::string name(wanted);
  while (!nodes_.try_emplace(name, 0).second) {
    name = fmt::format("{}_{}", wanted, ++nodes_.find(wanted)->second);
  }
  return name;
}

std::string Emitter::constant(const Tensor& tensor) {
  std::string key =
      fmt::format("{}{}", dtype_name(tensor.dtype()), to_string(std::span(tensor.shape())));
  key.append(reinterpret_cast<const char*>(tensor.data()), tensor.bytes());
  std::string& name = constants_[key];
  if (!name.empty()) return name;
  name = unique_value(fmt::format("constant_{}", constants_.size()));
  auto& out = *out_.add_initializer();
  out.set_name(name);
  write_tensor(tensor, out);
  return name;
}

NodeEmitter::NodeEmitter(Emitter& file, const graph::Node& node)
    : file_(file), node_(node), name_(file.unique_node(node_path(node))) {}

bool NodeEmitter::has_input(std::size_t index) const {
  return index < node_.inputs.size() && node_.inputs[index] != graph::kNoValue;
}

std::string NodeEmitter::input(std::size_t index) const {
  return has_input(index) ? input_value(index).name : std::string();
}

const graph::Value& NodeEmitter::input_value(std::size_t index) const {
  return file_.graph().value(node_.inputs.at(index));
}

std::vector<std::string> NodeEmitter::inputs() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < node_.inputs.size(); ++i) names.push_back(input(i));
  return names;
}

std::vector<std::string> NodeEmitter::outputs() const {
  std::vector<std::string> names;
  for (const graph::ValueId id : node_.outputs) {
    names.push_back(id == graph::kNoValue ? std::string() : file_.graph().value(id).name);
  }
  return names;
}

const graph::Value& NodeEmitter::output_value(std::size_t index) const {
  return file_.graph().value(node_.outputs.at(index));
}

std::vector<std::int64_t> NodeEmitter::fixed_ints(std::size_t index) const {
  const graph::Value& value = input_value(index);
  if (value.content) {
    if (auto numbers = constant_shape(*value.content)) return *numbers;
  }
  bad_input("input {} ({}) must be constant in opset {}, found a computed value", index, value.name,
            opset());
}

void NodeEmitter::append(std::string_view op, std::string name,
                         const std::vector<std::string>& inputs, const Attributes& attributes,
                         const std::vector<std::string>& outputs) {
  auto& out = *file_.out().add_node();
  out.set_op_type(std::string(op));
  out.set_name(std::move(name));
  std::size_t count = inputs.size();
  while (count > 0 && inputs[count - 1].empty()) --count;
  for (std::size_t i = 0; i < count; ++i) out.add_input(inputs[i]);
  for (const auto& output : outputs) out.add_output(output);
  for (const auto& [key, value] : attributes) write_attribute(key, value, *out.add_attribute());
}

std::string NodeEmitter::add(std::string_view op, std::vector<std::string> inputs,
                             const Attributes& attributes) {
  return add_many(op, std::move(inputs), attributes, 1)[0];
}

std::vector<std::string> NodeEmitter::add_many(std::string_view op, std::vector<std::string> inputs,
                                               const Attributes& attributes, std::size_t count) {
  const std::string name = file_.unique_node(fmt::format("{}/{}", name_, op));
  std::vector<std::string> outputs;
  for (std::size_t i = 0; i < count; ++i) {
    outputs.push_back(file_.unique_value(fmt::format("{}_output_{}", name, i)));
  }
  append(op, name, inputs, attributes, outputs);
  return outputs;
}

void NodeEmitter::finish(std::string_view op, std::vector<std::string> inputs,
                         const Attributes& attributes, std::size_t least_outputs) {
  std::vector<std::string> names = outputs();
  if (names.size() < least_outputs) names.resize(least_outputs);
  for (std::size_t i = 0; i < least_outputs; ++i) {
    if (names[i].empty()) names[i] = file_.unique_value(fmt::format("{}_output_{}", name_, i));
  }
  append(op, name_, inputs, attributes, names);
}

void NodeEmitter::set_tensor_attribute(std::string_view name, const Tensor& tensor) {
  auto& nodes = *file_.out().mutable_node();
  auto& attribute = *nodes.Mutable(nodes.size() - 1)->add_attribute();
  attribute.set_name(std::string(name));
  attribute.set_type(AttributeProto::TENSOR);
  write_tensor(tensor, *attribute.mutable_t());
}

std::string NodeEmitter::scalar(DType type, double value) {
  Tensor wide(DType::f64, {});
  wide.as<double>()[0] = value;
  return file_.constant(converted(wide.view(), type));
}

std::string NodeEmitter::ints(std::span<const std::int64_t> values) {
  return file_.constant(Tensor::from_ints({static_cast<std::int64_t>(values.size())}, values));
}

std::string NodeEmitter::cast(std::string value, DType from, DType to) {
  if (from == to) return value;
  return add("Cast", {std::move(value)}, {{"to", onnx_type(to)}});
}

std::string NodeEmitter::reduce(std::string_view op, std::string value,
                                std::span<const std::int64_t> axes) {
  // ReduceSum took its axes as an input in opset 13, the others in 18.
  const int input_since = op == "ReduceSum" ? 13 : 18;
  if (opset() >= input_since) {
    return add(op, {std::move(value), ints(axes)}, {{"keepdims", std::int64_t{1}}});
  }
  return add(op, {std::move(value)},
             {{"axes", std::vector<std::int64_t>(axes.begin(), axes.end())},
              {"keepdims", std::int64_t{1}}});
}

std::string NodeEmitter::shape_of(std::size_t index) {
  if (const auto known = constant_shape(input_value(index).shape)) return ints(*known);
  return add("Shape", {input(index)});
}

}  // namespace tenon::onnx
