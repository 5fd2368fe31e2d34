// The networks of picture models, through all passes: channels last from edge to edge, nothing left
// beside the convolutions that they can take, and the recorded results.
#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../models_images/picture_models.h"
#include "backend/cpu/cpu_backend.h"
#include "graph/op_schema.h"
#include "graph/text.h"
#include "models/components.h"
#include "planner/planner.h"
#include "session/tensor_session.h"
#include "tensor/npy.h"

namespace tenon::tests {
namespace {

// Some 60 layers, each a few hundred float32 products summed in float32 in another order than the
// recording's: a relative 1e-6 each, added up.
constexpr double kTolerance = 1e-4;

// Of nodes that write pictures or tokens.
std::map<std::string, int> count_ops(const graph::Graph& graph) {
  std::map<std::string, int> counts;
  for (const graph::NodeId id : graph.order()) {
    const graph::Node& node = graph.node(id);
    if (graph.value(node.outputs[0]).shape.size() >= 3) ++counts[std::string(node.op->name)];
  }
  return counts;
}

struct Optimized {
  graph::Graph graph;
  session::TensorMap outputs;
};

// Inputs are the arrays of the graph's input names behind `prefix`.
Optimized optimize_and_run(const std::string& name, const char* component,
                           const Recording& recording, const std::string& prefix,
                           const models::BuildOptions& build = {}) {
  Optimized made{
      models::build_component(checkpoint::Checkpoint::open(picture_folder(name)), component, build),
      {}};
  session::TensorMap inputs;
  for (const graph::ValueId id : made.graph.inputs()) {
    const std::string& input = made.graph.value(id).name;
    inputs[input] = recording.at(prefix + input);
  }
  static backend::CpuBackend cpu(2);
  planner::CompileOptions options;
  options.target = Target::native(Precision::fp32);
  session::TensorSession session(planner::compile(made.graph, options), cpu);
  made.outputs = session.run(inputs);
  return made;
}

void expect_channels_last(const graph::Graph& graph, int edges) {
  const auto counts = count_ops(graph);
  const auto count = [&](const std::string& op) {
    const auto found = counts.find(op);
    return found == counts.end() ? 0 : found->second;
  };
  EXPECT_LE(count("Transpose"), edges) << graph::to_text(graph);
  for (const char* op : {"Conv", "GroupNormalization", "Pad"}) EXPECT_EQ(count(op), 0) << op;
  EXPECT_GT(count("tenon.Conv"), 0);
}

class PictureUnets : public testing::TestWithParam<std::string> {};

TEST_P(PictureUnets, ChannelsLastGivesTheRecordedNoise) {
  const Recording recording = read_npz(picture_folder(GetParam()) / "expected.npz");
  if (!recording.contains("timestep")) GTEST_SKIP() << "this time is a fraction";
  models::BuildOptions build;
  build.any_size = GetParam() == "unet-any-size";
  const auto made = optimize_and_run(GetParam(), "unet", recording, "", build);
  EXPECT_LE(relative_l2(made.outputs.at("out_sample").view(), recording.at("out_sample").view()),
            kTolerance);
  expect_channels_last(made.graph, 2);
  if (!build.any_size) {
    EXPECT_EQ(count_ops(made.graph)["Resize"], 0);
  }
  // An activation that convolutions do not know keeps the norm of both inputs apart.
  const bool takes_activation = GetParam() != "unet-inpaint" && GetParam() != "unet-plain-mid";
  if (takes_activation) {
    EXPECT_EQ(count_ops(made.graph)["Concat"], 0) << graph::to_text(made.graph);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, PictureUnets, testing::ValuesIn(picture_cases("unet-")), test_name);

class PictureVaes : public testing::TestWithParam<std::string> {};

TEST_P(PictureVaes, ChannelsLastGivesTheRecordedLatentsAndPictures) {
  const Recording recording = read_npz(picture_folder(GetParam()) / "expected.npz");
  for (const std::string half : {"encoder", "decoder"}) {
    const auto made = optimize_and_run(GetParam(), ("vae_" + half).c_str(), recording, half + ".");
    for (const auto& [name, output] : made.outputs) {
      EXPECT_LE(relative_l2(output.view(), recording.at(half + "." + name).view()), kTolerance)
          << half;
    }
    expect_channels_last(made.graph, 2);
    // One upsampling by three stays.
    if (GetParam() != "tiny-thirds") {
      EXPECT_EQ(count_ops(made.graph)["Resize"], 0) << half;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, PictureVaes, testing::ValuesIn(picture_cases("vae-")), test_name);
INSTANTIATE_TEST_SUITE_P(TinyClass, PictureVaes, testing::ValuesIn(picture_cases("tiny-")),
                         test_name);

}  // namespace
}  // namespace tenon::tests
