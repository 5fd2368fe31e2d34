#include "onnx/test_models.h"

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "base/error.h"
#include "graph/op_schema.h"
#include "onnx/reader.h"

namespace tenon::onnx {

namespace fs = std::filesystem;

::onnx::ModelProto model_of(int opset) {
  ::onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(opset);
  auto& graph = *model.mutable_graph();
  graph.set_name("test");
  auto& input = *graph.add_input();
  input.set_name("x");
  auto& type = *input.mutable_type()->mutable_tensor_type();
  type.set_elem_type(::onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_value(2);
  type.mutable_shape()->add_dim()->set_dim_param("n");
  graph.add_output()->set_name("y");
  return model;
}

::onnx::NodeProto& add_node(::onnx::ModelProto& model, const std::string& op,
                            const std::vector<std::string>& inputs,
                            const std::vector<std::string>& outputs) {
  auto& node = *model.mutable_graph()->add_node();
  node.set_op_type(op);
  node.set_name("/model/" + op);
  for (const auto& input : inputs) node.add_input(input);
  for (const auto& output : outputs) node.add_output(output);
  return node;
}

::onnx::TensorProto& add_floats(::onnx::ModelProto& model, const std::string& name,
                                std::vector<std::int64_t> dims, const std::vector<float>& values) {
  auto& tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(::onnx::TensorProto::FLOAT);
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  for (const float value : values) tensor.add_float_data(value);
  return tensor;
}

::onnx::TensorProto& add_external(::onnx::ModelProto& model, const std::string& location,
                                  const std::string& offset, const std::string& length) {
  auto& tensor = add_floats(model, "w", {4}, {});
  tensor.set_data_location(::onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] : {std::pair<std::string, std::string>{"location", location},
                                   {"offset", offset},
                                   {"length", length}}) {
    if (value.empty() && key != "location") continue;
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }
  return tensor;
}

void set_ints(::onnx::NodeProto& node, const std::string& name, std::vector<std::int64_t> values) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(::onnx::AttributeProto::INTS);
  attribute.mutable_ints()->Add(values.begin(), values.end());
}

graph::Graph read_model(const ::onnx::ModelProto& model, const fs::path& folder) {
  const std::string bytes = model.SerializeAsString();
  return read(std::as_bytes(std::span(bytes)), folder);
}

std::string refusal(const ::onnx::ModelProto& model, const fs::path& folder) {
  try {
    read_model(model, folder);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

std::string dump(const graph::Graph& graph) {
  const auto describe = [&](graph::ValueId id) {
    if (id == graph::kNoValue) return std::string("-");
    const graph::Value& value = graph.value(id);
    std::string text =
        fmt::format("{}:{}{}", value.name, dtype_name(value.dtype), tenon::to_string(value.shape));
    if (value.constant != nullptr) {
      const Tensor tensor = converted(value.constant->load().view(), DType::f64);
      for (const double item : tensor.as<double>()) text += fmt::format(" {}", item);
    }
    return text;
  };
  std::string text;
  for (const graph::ValueId id : graph.inputs()) text += "input " + describe(id) + "\n";
  for (const graph::NodeId id : graph.order()) {
    const graph::Node& node = graph.node(id);
    text += fmt::format("{} {} [{}]", node.op->name, node.name, node.module);
    for (const auto& [name, value] : node.attributes) {
      text += fmt::format(" {}={}", name, attribute_text(value));
    }
    for (const graph::ValueId input : node.inputs) text += "\n  in " + describe(input);
    for (const graph::ValueId output : node.outputs) text += "\n  out " + describe(output);
    text += "\n";
  }
  for (const graph::ValueId id : graph.outputs()) text += "output " + describe(id) + "\n";
  return text;
}

TestFolder::TestFolder() {
  std::string pattern = (fs::path(testing::TempDir()) / "tenon-onnx-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) fail(ErrorCode::resource, "no temporary folder");
  path_ = pattern;
}

TestFolder::~TestFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

}  // namespace tenon::onnx
