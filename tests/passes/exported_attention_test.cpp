// Attention of pictures as torch's exporter writes it: one tenon.Attention over rows each, and
// torch's results.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "graph/op_schema.h"
#include "onnx/reader.h"
#include "planner/planner.h"
#include "session/tensor_session.h"
#include "tensor/npy.h"

namespace tenon::tests {
namespace {

// Some thirty layers in float32 on both sides, over numbers of the order of 1.
constexpr double kTolerance = 2e-5;

struct Export {
  const char* name;
  int attentions;
  int products;  // queries, keys and values together, or keys and values, and the others
  bool masked;
};

class ExportedAttention : public testing::TestWithParam<std::tuple<Export, int>> {};

TEST_P(ExportedAttention, ReadsRowsOfMergedProducts) {
  const auto& [file, opset] = GetParam();
  const auto folder = std::filesystem::path(TENON_SOURCE_DIR) / "tests" / "passes" / "exports";
  graph::Graph graph = onnx::read(folder / fmt::format("{}-{}.onnx", file.name, opset));
  const auto recorded = read_npz(folder / fmt::format("{}.npz", file.name));
  planner::CompileOptions options;
  options.target = Target::native(Precision::fp32);
  const auto engine = planner::compile(graph, options);

  int attentions = 0;
  int products = 0;
  for (const graph::NodeId id : graph.order()) {
    const graph::Node& node = graph.node(id);
    EXPECT_NE(node.op->name, "Softmax");
    if (node.op->name == "tenon.Linear") ++products;
    if (node.op->name != "tenon.Attention") continue;
    ++attentions;
    EXPECT_EQ(graph.value(node.inputs[0]).shape.size(), 3U) << node.name;
    EXPECT_EQ(node.inputs.size(), 3U) << node.name;
    EXPECT_EQ(node.attributes.get_int("is_causal", 0) != 0, file.masked) << node.name;
  }
  EXPECT_EQ(attentions, file.attentions);
  EXPECT_EQ(products, file.products);

  session::TensorMap inputs;
  for (const graph::ValueId id : graph.inputs()) {
    const std::string& name = graph.value(id).name;
    inputs.emplace(name, Tensor::copy_of(recorded.at(name).view()));
  }
  backend::CpuBackend cpu(2);
  session::TensorSession session(engine, cpu);
  const session::TensorMap outputs = session.run(inputs);
  const Tensor& output = outputs.at("output");
  const TensorView wanted = recorded.at("output").view();
  ASSERT_EQ(output.shape(), wanted.shape);
  for (std::size_t i = 0; i < wanted.as<float>().size(); ++i)
    ASSERT_NEAR(output.as<float>()[i], wanted.as<float>()[i], kTolerance) << i;
}

INSTANTIATE_TEST_SUITE_P(Torch, ExportedAttention,
                         testing::Combine(testing::Values(Export{"transformer-sdpa", 2, 7, false},
                                                          Export{"transformer-plain", 2, 7, false},
                                                          Export{"pixels-sdpa", 1, 2, false},
                                                          Export{"pixels-plain", 1, 2, false},
                                                          Export{"clip-sdpa", 1, 4, true},
                                                          Export{"clip-eager", 1, 4, true}),
                                          testing::Values(14, 18)));

}  // namespace
}  // namespace tenon::tests
