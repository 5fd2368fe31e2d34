// Writes one small graph for every operator form that differs between opsets, in every opset. With
// TENON_ONNX_SAMPLES set to a folder they stay there, for tests/onnx to check with other tools.
#include <cstdlib>
#include <filesystem>
#include <functional>

#include <gtest/gtest.h>

#include "base/error.h"
#include "graph/op_schema.h"
#include "onnx/reader.h"
#include "onnx/types.h"
#include "onnx/writer.h"

namespace tenon::onnx {
namespace {

namespace fs = std::filesystem;
using graph::Graph;
using graph::ValueId;

const Dim kBatch = Dim::symbol("batch_size");
const Dim kTime = Dim::symbol("sequence_length");

Tensor ramp(Shape shape, float start, float step) {
  Tensor tensor(DType::f32, std::move(shape));
  float value = start;
  for (float& item : tensor.as<float>()) item = std::exchange(value, value + step);
  return tensor;
}

struct Sample {
  const char* name;  // tests/onnx computes what it should give by this name
  std::function<ValueId(Graph&, DType)> build;
  int oldest = kOldestWritten;
  std::vector<DType> types = {DType::f32};
};

ValueId unary(Graph& graph, DType type, const char* op, Attributes attributes = {}) {
  const ValueId x = graph.add_input("x", type, {kBatch, kTime, 8});
  return graph.add(op, "", {x}, std::move(attributes), "model.layers.0.act");
}

ValueId constant(Graph& graph, const char* name, const Tensor& tensor, DType type) {
  return graph.add_constant(name, converted(tensor.view(), type));
}

ValueId ints(Graph& graph, const char* name, std::vector<std::int64_t> values) {
  const Shape shape = {static_cast<std::int64_t>(values.size())};
  return graph.add_constant(name, Tensor::from_ints(shape, values));
}

ValueId rms_norm(Graph& graph, DType type) {
  const ValueId x = graph.add_input("x", type, {kBatch, kTime, 8});
  const ValueId scale = constant(graph, "scale", ramp({8}, 0.5F, 0.25F), type);
  return graph.add("RMSNormalization", "", {x, scale}, {{"epsilon", 1e-3F}}, "model.norm");
}

ValueId layer_norm(Graph& graph, DType type) {
  const ValueId x = graph.add_input("x", type, {kBatch, kTime, 8});
  const ValueId scale = constant(graph, "scale", ramp({8}, 0.5F, 0.25F), type);
  const ValueId bias = constant(graph, "bias", ramp({8}, -1, 0.25F), type);
  return graph.add("LayerNormalization", "", {x, scale, bias}, {{"epsilon", 1e-3F}}, "model.norm");
}

ValueId group_norm(Graph& graph, DType type) {
  const ValueId x =
      graph.add_input("x", type, {kBatch, 6, Dim::symbol("height"), Dim::symbol("width")});
  const ValueId scale = constant(graph, "scale", ramp({6}, 0.5F, 0.25F), type);
  const ValueId bias = constant(graph, "bias", ramp({6}, -1, 0.25F), type);
  return graph.add("GroupNormalization", "", {x, scale, bias},
                   {{"num_groups", std::int64_t{3}}, {"epsilon", 1e-3F}}, "norm1");
}

struct Rotary {
  bool flat = false;
  bool positions = true;
  std::int64_t interleaved = 0;
  std::int64_t rotated = 0;
};

// Three heads of 8.
ValueId rotary(Graph& graph, DType type, const Rotary& form) {
  const std::int64_t half = (form.rotated == 0 ? 8 : form.rotated) / 2;
  const DimShape shape = form.flat ? DimShape{kBatch, kTime, 24} : DimShape{kBatch, 3, kTime, 8};
  const ValueId x = graph.add_input("x", type, shape);
  const DimShape cache =
      form.positions ? DimShape{Dim::symbol("positions"), half} : DimShape{kBatch, kTime, half};
  const ValueId cos = graph.add_input("cos", type, cache);
  const ValueId sin = graph.add_input("sin", type, cache);
  std::vector<ValueId> inputs = {x, cos, sin};
  if (form.positions) inputs.push_back(graph.add_input("positions", DType::i64, {kBatch, kTime}));
  Attributes attributes = {{"interleaved", form.interleaved},
                           {"rotary_embedding_dim", form.rotated}};
  if (form.flat) attributes.set("num_heads", std::int64_t{3});
  return graph.add("RotaryEmbedding", "", inputs, attributes, "model.layers.0.self_attn.rotary");
}

ValueId reduce(Graph& graph, DType type, const char* op, std::vector<std::int64_t> axes,
               std::int64_t keep) {
  const ValueId x = graph.add_input("x", type, {kBatch, kTime, 8});
  std::vector<ValueId> inputs = {x};
  if (!axes.empty()) inputs.push_back(ints(graph, "axes", std::move(axes)));
  return graph.add(op, "", inputs, {{"keepdims", keep}}, "model.pool");
}

ValueId split(Graph& graph, DType type, std::int64_t count) {
  const ValueId x = graph.add_input("x", type, {kBatch, kTime, 8});
  graph::Node node;
  node.module = "model.split";
  node.op = &graph::find_op("Split");
  node.inputs = {x};
  node.outputs.resize(static_cast<std::size_t>(count));
  node.attributes = {{"axis", std::int64_t{-1}}, {"num_outputs", count}};
  const graph::NodeId made = graph.add_node(std::move(node));
  const auto outputs = graph.node(made).outputs;
  return graph.add("Concat", "", {outputs.back(), outputs.front()}, {{"axis", std::int64_t{-1}}});
}

ValueId split_sizes(Graph& graph, DType type) {
  const ValueId x = graph.add_input("x", type, {kBatch, kTime, 8});
  graph::Node node;
  node.op = &graph::find_op("Split");
  node.inputs = {x, ints(graph, "sizes", {3, 5})};
  node.outputs.resize(2);
  node.attributes = {{"axis", std::int64_t{2}}};
  const graph::NodeId made = graph.add_node(std::move(node));
  return graph.node(made).outputs[1];
}

ValueId pad(Graph& graph, DType type) {
  const ValueId x = graph.add_input("x", type, {kBatch, kTime, 8});
  const ValueId value = constant(graph, "value", ramp({}, 2, 0), type);
  return graph.add("Pad", "",
                   {x, ints(graph, "pads", {1, 2, 0, 3}), value, ints(graph, "axes", {-1, 1})});
}

ValueId constant_of_shape(Graph& graph, DType type) {
  const ValueId x = graph.add_input("x", type, {kBatch, kTime, 8});
  const ValueId shape = graph.add("Shape", "", {x});
  const ValueId filled =
      graph.add("ConstantOfShape", "", {shape}, {{"value", 1.5F}, {"dtype", onnx_type(type)}});
  return graph.add("Add", "", {x, filled});
}

// Large enough for external data, read through a conversion.
ValueId linear(Graph& graph, DType type) {
  const ValueId x = graph.add_input("x", type, {kBatch, kTime, 32});
  const ValueId weight = graph.add_constant(
      "proj.weight", cast_source(owned_source(ramp({32, 24}, -1, 1.0F / 512)), type));
  return graph.add("MatMul", "", {x, weight}, {}, "model.proj");
}

std::vector<Sample> samples() {
  const std::vector<DType> both = {DType::f32, DType::f16};
  const auto act = [](const char* op, Attributes attributes = {}) {
    return [op, attributes](Graph& g, DType t) { return unary(g, t, op, attributes); };
  };
  const auto turn = [](Rotary form) {
    return [form](Graph& g, DType t) { return rotary(g, t, form); };
  };
  const auto fold = [](const char* op, std::vector<std::int64_t> axes, std::int64_t keep) {
    return [=](Graph& g, DType t) { return reduce(g, t, op, axes, keep); };
  };
  return {
      {"gelu", act("Gelu"), 17, both},
      {"gelu_tanh", act("Gelu", {{"approximate", std::string("tanh")}}), 17, both},
      {"swish", act("Swish"), 17, both},
      {"swish_alpha", act("Swish", {{"alpha", 1.5F}}), 17, both},
      {"mish", act("Mish")},
      {"cast", act("Cast", {{"to", std::int64_t{1}}, {"saturate", std::int64_t{1}}}), 17, both},
      {"rms_norm", rms_norm, 17, both},
      {"layer_norm", layer_norm, 17, both},
      {"group_norm", group_norm, 17, both},
      {"rotary", turn({}), 17, both},
      {"rotary_flat", turn({.flat = true})},
      {"rotary_partial", turn({.rotated = 4})},
      {"rotary_interleaved", turn({.interleaved = 1})},
      {"rotary_flat_interleaved_partial", turn({.flat = true, .interleaved = 1, .rotated = 4})},
      {"rotary_ready", turn({.positions = false})},
      {"reduce_mean", fold("ReduceMean", {-1}, 1), 17, both},
      {"reduce_max_all", fold("ReduceMax", {}, 0)},
      {"reduce_sum", fold("ReduceSum", {1, 2}, 0)},
      {"split_even", [](Graph& g, DType t) { return split(g, t, 2); }},
      {"split_uneven", [](Graph& g, DType t) { return split(g, t, 3); }},
      {"split_sizes", split_sizes},
      {"pad", pad},
      {"constant_of_shape", constant_of_shape, 17, both},
      {"linear", linear, 17, {DType::f32, DType::f16, DType::bf16}},
  };
}

fs::path folder_of_samples() {
  if (const char* wanted = std::getenv("TENON_ONNX_SAMPLES")) return wanted;
  return fs::path(testing::TempDir()) / "tenon_onnx_samples";
}

TEST(Samples, AreWrittenInEveryOpset) {
  for (const Sample& sample : samples()) {
    for (const int opset : {17, 18, 21, 23, 24, 25}) {
      for (const DType type : sample.types) {
        SCOPED_TRACE(fmt::format("{} {} opset {}", sample.name, dtype_name(type), opset));
        Graph graph;
        graph.mark_output(sample.build(graph, type), "y");
        const fs::path folder =
            folder_of_samples() / sample.name / fmt::format("{}-{}", dtype_name(type), opset);
        fs::create_directories(folder);
        WriteOptions options;
        options.opset = opset;
        options.max_ram = 4096;  // so that a weight takes several blocks
        write(graph, folder / "model.onnx", options);
        const Graph again = read(folder);
        ASSERT_EQ(again.outputs().size(), 1U);
        EXPECT_EQ(again.value(again.outputs()[0]).name, "y");
        EXPECT_EQ(again.value(again.outputs()[0]).dtype, graph.value(graph.outputs()[0]).dtype);
        EXPECT_EQ(again.value(again.outputs()[0]).shape, graph.value(graph.outputs()[0]).shape);
      }
    }
  }
  if (std::getenv("TENON_ONNX_SAMPLES") == nullptr) fs::remove_all(folder_of_samples());
}

}  // namespace
}  // namespace tenon::onnx
