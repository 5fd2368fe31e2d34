// Picture models as other programs export them: read, run as they are and through all passes, at
// two sizes from one file; and what the passes make of them.
#include <algorithm>
#include <cmath>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "../models_images/picture_models.h"
#include "backend/cpu/cpu_backend.h"
#include "graph/op_schema.h"
#include "onnx/reader.h"
#include "planner/planner.h"
#include "session/tensor_session.h"
#include "tensor/npy.h"

namespace tenon::tests {
namespace {

using Recording = std::map<std::string, Tensor, std::less<>>;

// Some 60 layers, each a few hundred float32 products summed in float32 in another order than the
// recording's: a relative 1e-6 each, added up.
constexpr double kTolerance = 1e-4;

struct Part {
  const char* folder;
  const char* name;
  int attentions;  // in the model that was exported
};

void PrintTo(const Part& part, std::ostream* out) { *out << part.folder << "/" << part.name; }

std::filesystem::path folder_of(const Part& part) {
  return std::filesystem::path(TENON_SOURCE_DIR) / "tests/onnx_fixtures" / part.folder;
}

std::string test_name(const testing::TestParamInfo<Part>& info) {
  std::string name = fmt::format("{}_{}", info.param.folder, info.param.name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// The graph of the part as the planner leaves it.
graph::Graph expect_recorded(const Part& part, const Target& target) {
  graph::Graph graph = onnx::read(folder_of(part) / part.name);
  planner::CompileOptions options;
  options.target = target;
  static backend::CpuBackend cpu(2);
  std::vector<std::string> inputs;
  for (const graph::ValueId id : graph.inputs()) inputs.push_back(graph.value(id).name);
  session::TensorSession session(planner::compile(graph, options), cpu);
  const Recording recording = read_npz(folder_of(part) / "io.npz");
  for (int run = 0; run < 2; ++run) {
    const std::string prefix = fmt::format("{}.{}.", part.name, run);
    session::TensorMap feeds;
    for (const auto& name : inputs) feeds[name] = recording.at(prefix + name);
    int compared = 0;
    for (const auto& [name, tensor] : session.run(feeds)) {
      EXPECT_LE(relative_l2(tensor.view(), recording.at(prefix + name).view()), kTolerance)
          << prefix << name;
      ++compared;
    }
    EXPECT_GT(compared, 0);
  }
  return graph;
}

class ExportedPictures : public testing::TestWithParam<Part> {};

TEST_P(ExportedPictures, GiveTheRecordedOutputsAsTheyAre) {
  expect_recorded(GetParam(), Target::reference_run());
}

TEST_P(ExportedPictures, BecomeChannelsLastWithFusedAttention) {
  const graph::Graph graph = expect_recorded(GetParam(), Target::native(Precision::fp32));
  std::map<std::string, int, std::less<>> counts;
  for (const graph::NodeId id : graph.order()) {
    const graph::Node& node = graph.node(id);
    if (graph.value(node.outputs[0]).shape.size() >= 3) ++counts[std::string(node.op->name)];
  }
  EXPECT_EQ(counts["tenon.Attention"], GetParam().attentions);
  for (const char* op : {"Conv", "GroupNormalization", "InstanceNormalization", "Softmax", "Erf",
                         "Sigmoid", "Resize"}) {
    EXPECT_EQ(counts[op], 0) << op;
  }
  if (std::string_view(GetParam().name) == "text_encoder") return;
  EXPECT_GT(counts["tenon.Conv"], 0);
  // One at each edge; where noise stood, the mean leaves for two nodes.
  EXPECT_LE(counts["Transpose"], 2 + counts["Exp"]);
}

INSTANTIATE_TEST_SUITE_P(
    Onnx, ExportedPictures,
    testing::Values(Part{"optimum-sd1-14", "text_encoder", 2}, Part{"optimum-sd1-14", "unet", 8},
                    Part{"optimum-sd1-14", "vae_encoder", 1},
                    Part{"optimum-sd1-14", "vae_decoder", 1},
                    Part{"optimum-sd2-18", "text_encoder", 2}, Part{"optimum-sd2-18", "unet", 4},
                    Part{"script-sd2-14", "text_encoder", 2}, Part{"script-sd2-14", "unet", 4},
                    Part{"script-sd2-14", "vae_encoder", 1},
                    Part{"script-sd2-14", "vae_decoder", 1}),
    test_name);

}  // namespace
}  // namespace tenon::tests
