#include "onnx/scope.h"

#include "base/error.h"
#include "onnx-ml.pb.h"

namespace tenon::onnx {

using ::onnx::AttributeProto;
using ::onnx::NodeProto;

void Scope::define(const std::string& name, graph::ValueId value) {
  if (tensors.contains(name) || !values.emplace(name, value).second) {
    bad_input("{} is written twice", name.substr(0, 200));
  }
}

const AttributeProto* Scope::resolve(const AttributeProto& attribute) const {
  if (attribute.ref_attr_name().empty()) return &attribute;
  const auto found = arguments.find(attribute.ref_attr_name());
  return found == arguments.end() ? nullptr : found->second;
}

std::string describe_node(const NodeProto& node) {
  const std::string& name = !node.name().empty()     ? node.name()
                            : node.output_size() > 0 ? node.output(0)
                                                     : node.op_type();
  return fmt::format("node {} ({})", name.substr(0, 200), node.op_type().substr(0, 100));
}

std::optional<bool> known_truth(const graph::Value& value) {
  if (value.content && value.content->size() == 1) {
    const auto number = value.content->front().constant();
    return number ? std::optional(*number != 0) : std::nullopt;
  }
  if (value.constant == nullptr || value.dtype != DType::boolean ||
      element_count(value.constant->shape()) != 1) {
    return std::nullopt;
  }
  return value.constant->load().as<bool>()[0];
}

Attribute plain_attribute(const AttributeProto& attribute) {
  switch (attribute.type()) {
    case AttributeProto::INT:
      return std::int64_t{attribute.i()};
    case AttributeProto::FLOAT:
      return attribute.f();
    case AttributeProto::STRING:
      return attribute.s();
    case AttributeProto::INTS:
      return std::vector<std::int64_t>(attribute.ints().begin(), attribute.ints().end());
    case AttributeProto::FLOATS:
      return std::vector<float>(attribute.floats().begin(), attribute.floats().end());
    case AttributeProto::STRINGS:
      return std::vector<std::string>(attribute.strings().begin(), attribute.strings().end());
    default:
      bad_input("attribute {} is of kind {}, numbers or strings were expected", attribute.name(),
                ::onnx::AttributeProto_AttributeType_Name(attribute.type()));
  }
}

Tensor constant_tensor(const Attribute& attribute) {
  if (const auto* number = std::get_if<std::int64_t>(&attribute)) {
    return Tensor::from_ints({}, std::span(number, 1));
  }
  if (const auto* number = std::get_if<float>(&attribute)) {
    return Tensor::from_floats({}, std::span(number, 1));
  }
  if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(&attribute)) {
    return Tensor::from_ints({static_cast<std::int64_t>(numbers->size())}, *numbers);
  }
  if (const auto* numbers = std::get_if<std::vector<float>>(&attribute)) {
    return Tensor::from_floats({static_cast<std::int64_t>(numbers->size())}, *numbers);
  }
  bad_input("the value is text, numbers were expected");
}

// The depth of a parsed message is bounded, and this recursion with it.
void collect_names(const google::protobuf::RepeatedPtrField<::onnx::NodeProto>& nodes,
                   ModelNames& names) {
  for (const auto& node : nodes) {
    for (const std::string& input : node.input()) names.read.insert(input);
    for (const std::string& output : node.output()) names.written.insert(output);
    for (const auto& attribute : node.attribute()) {
      if (!attribute.has_g()) continue;
      collect_names(attribute.g().node(), names);
      for (const auto& output : attribute.g().output()) names.read.insert(output.name());
    }
  }
}

}  // namespace tenon::onnx
