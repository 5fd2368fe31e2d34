// What the reader makes of well-formed models: names, shapes, forms of tensors, functions,
// branches.
#include "onnx/reader.h"

#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "graph/op_schema.h"
#include "onnx/test_models.h"
#include "onnx/writer.h"

namespace tenon::onnx {
namespace {

namespace fs = std::filesystem;
using graph::Graph;
using ::onnx::AttributeProto;
using ::onnx::TensorProto;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<float> floats(const Graph& graph, const char* name) {
  const Tensor tensor =
      converted(graph.value(*graph.find_value(name)).constant->load().view(), DType::f32);
  return {tensor.as<float>().begin(), tensor.as<float>().end()};
}

TEST(Reader, KeepsNamesAndDerivesModules) {
  auto model = model_of(17);
  add_floats(model, "model.norm.weight", {1}, {2});
  add_node(model, "Mul", {"x", "model.norm.weight"}, {"y"}).set_name("/model/layers.3/mlp/Mul");
  const Graph graph = read_model(model);
  graph::verify(graph);
  const graph::Node& node = graph.node(graph.order().at(0));
  EXPECT_EQ(node.name, "/model/layers.3/mlp/Mul");
  EXPECT_EQ(node.module, "model.layers.3.mlp");
  EXPECT_EQ(graph.value(node.outputs[0]).name, "y");
  EXPECT_EQ(tenon::to_string(graph.value(node.outputs[0]).shape), "[2, n]");
  EXPECT_THAT(floats(graph, "model.norm.weight"), ElementsAre(2.0F));
}

TEST(Reader, NamesSizes) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"batch_size", "batch_size"},
      {"past_sequence_length + sequence_length", "past_sequence_length + sequence_length"},
      {"height/8", "height_8"},
      {"2nd", "d_2nd"},
      {"", "x_dim_1"},
      {"?", "x_dim_1"},
      {"-7", "_7"},
      {"99999999999999999999999", "d_99999999999999999999999"}};
  for (const auto& [given, expected] : cases) {
    auto model = model_of(17);
    auto& shape = *model.mutable_graph()
                       ->mutable_input(0)
                       ->mutable_type()
                       ->mutable_tensor_type()
                       ->mutable_shape();
    shape.mutable_dim(1)->set_dim_param(given);
    add_node(model, "Relu", {"x"}, {"y"});
    const Graph graph = read_model(model);
    EXPECT_EQ(graph.value(graph.inputs()[0]).shape[1].to_string(), expected) << given;
  }
}

TEST(Reader, UnnamedSizesAreDistinct) {
  auto model = model_of(17);
  auto& shape = *model.mutable_graph()
                     ->mutable_input(0)
                     ->mutable_type()
                     ->mutable_tensor_type()
                     ->mutable_shape();
  shape.mutable_dim(0)->set_dim_param("x_dim_1");
  shape.mutable_dim(1)->clear_value();
  add_node(model, "Relu", {"x"}, {"y"});
  const Graph graph = read_model(model);
  EXPECT_EQ(tenon::to_string(graph.value(graph.inputs()[0]).shape), "[x_dim_1, x_dim_1_1]");
}

TEST(Reader, TakesEveryFormOfTensor) {
  struct Case {
    int type;
    std::function<void(TensorProto&)> fill;
  };
  const auto int32s = [](std::vector<int> values) {
    return [values](TensorProto& t) { t.mutable_int32_data()->Add(values.begin(), values.end()); };
  };
  const std::vector<Case> cases = {
      {TensorProto::FLOAT, [](TensorProto& t) { t.add_float_data(1), t.add_float_data(0); }},
      {TensorProto::DOUBLE, [](TensorProto& t) { t.add_double_data(1), t.add_double_data(0); }},
      {TensorProto::INT64, [](TensorProto& t) { t.add_int64_data(1), t.add_int64_data(0); }},
      {TensorProto::INT32, int32s({1, 0})},
      {TensorProto::INT16, int32s({1, 0})},
      {TensorProto::INT8, int32s({1, 0})},
      {TensorProto::UINT8, int32s({1, 0})},
      {TensorProto::BOOL, int32s({7, 0})},
      {TensorProto::FLOAT16, int32s({0x3c00, 0})},
      {TensorProto::BFLOAT16, int32s({0x3f80, 0})},
      {TensorProto::BOOL, [](TensorProto& t) { t.set_raw_data(std::string("\x05\x00", 2)); }},
      {TensorProto::FLOAT16,
       [](TensorProto& t) { t.set_raw_data(std::string("\x00\x3c\0\0", 4)); }},
  };
  for (const Case& one : cases) {
    auto model = model_of(17);
    auto& tensor = *model.mutable_graph()->add_initializer();
    tensor.set_name("w");
    tensor.set_data_type(one.type);
    tensor.add_dims(2);
    one.fill(tensor);
    auto& node = add_node(model, "Cast", {"w"}, {"y"});
    auto& to = *node.add_attribute();
    to.set_name("to");
    to.set_type(AttributeProto::INT);
    to.set_i(TensorProto::FLOAT);
    EXPECT_THAT(floats(read_model(model), "w"), ElementsAre(1.0F, 0.0F)) << one.type;
  }
}

TEST(Reader, WeightsAmongTheInputsAreConstants) {
  auto model = model_of(9);
  model.set_ir_version(3);
  add_floats(model, "w", {1}, {3});
  auto& input = *model.mutable_graph()->add_input();
  input.set_name("w");
  input.mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
  add_node(model, "Add", {"x", "w"}, {"y"});
  const Graph graph = read_model(model);
  EXPECT_EQ(graph.inputs().size(), 1U);
  EXPECT_TRUE(graph.is_constant(*graph.find_value("w")));
}

TEST(Reader, MapsExternalDataWithoutCopying) {
  const TestFolder folder;
  const std::vector<float> values = {1, 2, 3, 4};
  std::string bytes(8, '\0');
  bytes.append(reinterpret_cast<const char*>(values.data()), 16);
  write_file(folder / "weights", bytes);
  auto model = model_of(17);
  add_external(model, "weights", "8", "16");
  add_node(model, "Concat", {"w", "w"}, {"y"});
  set_ints(*model.mutable_graph()->mutable_node(0), "unused", {});
  model.mutable_graph()->mutable_node(0)->clear_attribute();
  auto& axis = *model.mutable_graph()->mutable_node(0)->add_attribute();
  axis.set_name("axis");
  axis.set_type(AttributeProto::INT);
  axis.set_i(0);
  const Graph graph = read_model(model, folder.path());
  EXPECT_THAT(floats(graph, "w"), ElementsAre(1, 2, 3, 4));
  EXPECT_TRUE(graph.value(*graph.find_value("w")).constant->view().has_value());
  // An offset that the type cannot be read at is copied.
  auto& entry = *model.mutable_graph()->mutable_initializer(0)->mutable_external_data(1);
  entry.set_value("7");
  EXPECT_EQ(read_model(model, folder.path()).value(graph.outputs()[0]).shape[0], Dim(8));
}

::onnx::ModelProto model_with_function(bool recursive) {
  auto model = model_of(18);
  auto& import = *model.add_opset_import();
  import.set_domain("local");
  import.set_version(1);
  auto& function = *model.add_functions();
  function.set_name("Scaled");
  function.set_domain("local");
  function.add_input("a");
  function.add_output("b");
  function.add_attribute("factor");
  function.add_opset_import()->set_version(18);
  auto& constant = *function.add_node();
  constant.set_op_type("Constant");
  constant.add_output("f");
  auto& value = *constant.add_attribute();
  value.set_name("value_float");
  value.set_ref_attr_name("factor");
  value.set_type(AttributeProto::FLOAT);
  auto& mul = *function.add_node();
  if (recursive) {
    auto& passed = *mul.add_attribute();
    passed = value;
    passed.set_name("factor");
  }
  mul.set_op_type(recursive ? "Scaled" : "Mul");
  mul.set_domain(recursive ? "local" : "");
  mul.set_name("times");
  mul.add_input("a");
  if (!recursive) mul.add_input("f");
  mul.add_output("b");
  auto& call = add_node(model, "Scaled", {"x"}, {"y"});
  call.set_domain("local");
  auto& factor = *call.add_attribute();
  factor.set_name("factor");
  factor.set_type(AttributeProto::FLOAT);
  factor.set_f(2.5F);
  return model;
}

TEST(Reader, PutsFunctionsInPlace) {
  const Graph graph = read_model(model_with_function(false));
  ASSERT_EQ(graph.order().size(), 1U);
  EXPECT_EQ(graph.node(graph.order()[0]).name, "/model/Scaled/times");
  EXPECT_THAT(floats(graph, "/model/Scaled/f"), ElementsAre(2.5F));
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
}

TEST(Reader, RefusesRecursiveFunctions) {
  EXPECT_THAT(refusal(model_with_function(true)), HasSubstr("calls itself"));
}

void add_branch(::onnx::NodeProto& node, const char* name, const char* op) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::GRAPH);
  auto& inner = *attribute.mutable_g()->add_node();
  inner.set_op_type(op);
  inner.set_name(op);
  inner.add_input("x");
  inner.add_output("inner");
  attribute.mutable_g()->add_output()->set_name("inner");
}

TEST(Reader, TakesTheBranchOfAKnownCondition) {
  for (const bool truth : {false, true}) {
    auto model = model_of(17);
    auto& condition = *model.mutable_graph()->add_initializer();
    condition.set_name("c");
    condition.set_data_type(TensorProto::BOOL);
    condition.add_int32_data(truth ? 1 : 0);
    auto& node = add_node(model, "If", {"c"}, {"y"});
    add_branch(node, "then_branch", "Exp");
    add_branch(node, "else_branch", "Neg");
    const Graph graph = read_model(model);
    ASSERT_EQ(graph.order().size(), 1U);
    EXPECT_EQ(graph.node(graph.order()[0]).op->name, truth ? "Exp" : "Neg");
    EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
  }
}

TEST(Reader, RefusesABranchThatOnlyARunDecides) {
  auto model = model_of(17);
  auto& input = *model.mutable_graph()->add_input();
  input.set_name("c");
  auto& type = *input.mutable_type()->mutable_tensor_type();
  type.set_elem_type(TensorProto::BOOL);
  type.mutable_shape();
  auto& node = add_node(model, "If", {"c"}, {"y"});
  add_branch(node, "then_branch", "Exp");
  add_branch(node, "else_branch", "Neg");
  EXPECT_THAT(refusal(model), HasSubstr("node /model/If (If): operator If is not supported"));
}

TEST(Reader, WrittenGraphsComeBackTheSame) {
  Graph graph;
  const Dim batch = Dim::symbol("batch_size");
  const Dim total = Dim::symbol("past_sequence_length") + Dim::symbol("sequence_length");
  const auto x = graph.add_input("x", DType::f32, {batch, total, 4});
  const auto weight = graph.add_constant(
      "w", Tensor::from_floats({4, 2}, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
  const auto y =
      graph.add("MatMul", "/model/layers.0/proj/MatMul", {x, weight}, {}, "model.layers.0.proj");
  const auto soft =
      graph.add("Softmax", "/model/Softmax", {y}, {{"axis", std::int64_t{1}}}, "model");
  const auto axes =
      graph.add_constant("axes", Tensor::from_ints({1}, std::vector<std::int64_t>{2}));
  const auto mean = graph.add("ReduceMean", "/model/ReduceMean", {soft, axes},
                              {{"keepdims", std::int64_t{0}}}, "model");
  const auto shaped = graph.add("Shape", "/model/Shape", {mean}, {}, "model");
  const auto filled = graph.add("ConstantOfShape", "/model/ConstantOfShape", {shaped},
                                {{"value", 2.0F}, {"dtype", std::int64_t{1}}}, "model");
  graph.mark_output(graph.add("Add", "/model/Add", {mean, filled}, {}, "model"), "out");
  graph.mark_output(soft, "attention");
  const TestFolder folder;
  for (const int opset : {18, 21, 24}) {
    write(graph, folder / "model.onnx", {.opset = opset, .external_threshold = 16});
    const Graph again = read(folder.path());
    graph::verify(again);
    EXPECT_EQ(dump(again), dump(graph)) << opset;
  }
}

TEST(Reader, RealModelsAreReadOrRefusedByOperator) {
  const char* given = std::getenv("TENON_TEST_DATA");
  const fs::path data =
      fs::path(given != nullptr ? given : TENON_SOURCE_DIR "/../shared/data") / "onnx";
  if (!fs::exists(data)) GTEST_SKIP() << "no models in " << data;
  for (const auto& entry : fs::directory_iterator(data)) {
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    std::string reason;
    try {
      const Graph graph = read(entry.path());
      graph::verify(graph);
      EXPECT_FALSE(name == "byte-bilstm" || name == "silero-vad-16k-sequence") << "has an LSTM";
    } catch (const Error& error) {
      reason = error.what();
    }
    if (reason.empty()) continue;
    EXPECT_THAT(reason, HasSubstr("node "));
    // One pads by a computation over a matrix of sizes; else only an operator that the graph does
    // not know, or an If, may stand in the way.
    const auto at = reason.find("operator ");
    if (at == std::string::npos) {
      EXPECT_THAT(name, HasSubstr("silero-vad"));
      EXPECT_THAT(reason, HasSubstr("Pad("));
      continue;
    }
    const std::string op = reason.substr(at + 9, reason.find(' ', at + 9) - at - 9);
    EXPECT_FALSE(graph::has_op(op)) << reason;
  }
}

// For tests/onnx, which compares what the files compute: every NAME.onnx of the folder is read and
// written as new/NAME.onnx; a refusal goes to new/NAME.txt.
TEST(Reader, RewritesAFolder) {
  const char* folder = std::getenv("TENON_ONNX_REWRITE");
  if (folder == nullptr) GTEST_SKIP() << "TENON_ONNX_REWRITE is not set";
  fs::create_directories(fs::path(folder) / "new");
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".onnx") continue;
    const std::string stem = entry.path().stem().string();
    try {
      const Graph graph = read(entry.path());
      graph::verify(graph);
      write(graph, fs::path(folder) / "new" / (stem + ".onnx"),
            {.opset = 23, .external_name = stem + ".data"});
    } catch (const Error& error) {
      write_file(fs::path(folder) / "new" / (stem + ".txt"), error.what());
    }
  }
}

}  // namespace
}  // namespace tenon::onnx
