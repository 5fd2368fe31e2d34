// Every tiny component, by the reference run, against what diffusers and transformers gave.
#include "models/components.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "planner/planner.h"
#include "session/tensor_session.h"
#include "tensor/npy.h"

namespace tenon::tests {
namespace {

using Recording = std::map<std::string, Tensor, std::less<>>;
using models::BuildOptions;
using models::TimestepForm;

// The recordings are computed in float64 (CLIP: float32) and stored in float32, our weights are the
// same numbers. Each of some 60 layers rounds its result once, 6e-8 relative, and sums in float64,
// so 5e-7 of the norm is usual; angles of time, up to 801, are rounded to float32 on both sides in
// ways that differ by 801 * 6e-8 = 5e-5 at the worst frequency of one input among many.
constexpr double kTolerance = 1e-5;

std::filesystem::path folder(const std::string& name) {
  return std::filesystem::path(TENON_SOURCE_DIR) / "tests" / "models_images" / name;
}

std::vector<std::string> cases(const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder(""))) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix) && std::filesystem::exists(entry.path() / "expected.npz"))
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

double relative_l2(const TensorView& found, const TensorView& expected) {
  if (found.shape != expected.shape)
    bad_input("shapes {} and {}", to_string(found.shape), to_string(expected.shape));
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.as<float>().size(); ++i) {
    const double wanted = expected.as<float>()[i];
    difference += std::pow(found.as<float>()[i] - wanted, 2);
    norm += wanted * wanted;
  }
  return std::sqrt(difference / norm);
}

// Inputs are the arrays of the graph's input names behind `prefix`; `renamed` stands in for some.
session::TensorMap run(graph::Graph graph, const Recording& recording, const std::string& prefix,
                       const std::map<std::string, std::string>& renamed = {}) {
  session::TensorMap inputs;
  for (const graph::ValueId id : graph.inputs()) {
    const std::string& name = graph.value(id).name;
    const auto other = renamed.find(name);
    inputs[name] = recording.at(prefix + (other == renamed.end() ? name : other->second));
  }
  static backend::CpuBackend cpu(2);
  planner::CompileOptions options;
  options.target = Target::reference_run();
  session::TensorSession session(planner::compile(graph, options), cpu);
  return session.run(inputs);
}

graph::Graph build(const std::string& name, const char* component,
                   const BuildOptions& options = {}) {
  return models::build_component(checkpoint::Checkpoint::open(folder(name)), component, options);
}

class Unets : public testing::TestWithParam<std::string> {};

TEST_P(Unets, GiveTheRecordedNoiseForOneTime) {
  const Recording recording = read_npz(folder(GetParam()) / "expected.npz");
  if (!recording.contains("timestep")) GTEST_SKIP() << "this time is a fraction";
  BuildOptions options;
  options.any_size = GetParam() == "unet-any-size";
  const auto outputs = run(build(GetParam(), "unet", options), recording, "");
  EXPECT_LE(relative_l2(outputs.at("out_sample").view(), recording.at("out_sample").view()),
            kTolerance);
}

TEST_P(Unets, GiveTheRecordedNoiseForATimeEach) {
  const Recording recording = read_npz(folder(GetParam()) / "expected.npz");
  BuildOptions options;
  options.any_size = true;
  options.timestep_form = TimestepForm::per_batch_float;
  const auto outputs =
      run(build(GetParam(), "unet", options), recording, "", {{"timestep", "timesteps"}});
  EXPECT_LE(relative_l2(outputs.at("out_sample").view(), recording.at("out_sample_each").view()),
            kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Unets, testing::ValuesIn(cases("unet-")), test_name);

class Clips : public testing::TestWithParam<std::string> {};

TEST_P(Clips, GiveTheRecordedStates) {
  const Recording recording = read_npz(folder(GetParam()) / "expected.npz");
  BuildOptions options;
  options.hidden_states = true;
  const auto outputs = run(build(GetParam(), "text_encoder", options), recording, "");
  ASSERT_EQ(outputs.size(), recording.size() - 1);
  for (const auto& [name, output] : outputs)
    EXPECT_LE(relative_l2(output.view(), recording.at(name).view()), kTolerance) << name;
}

INSTANTIATE_TEST_SUITE_P(Tiny, Clips, testing::ValuesIn(cases("clip-")), test_name);

class Vaes : public testing::TestWithParam<std::string> {};

TEST_P(Vaes, GiveTheRecordedLatentsAndPictures) {
  const Recording recording = read_npz(folder(GetParam()) / "expected.npz");
  for (const std::string half : {"encoder", "decoder"}) {
    const std::string component = "vae_" + half;
    for (const auto& [name, output] :
         run(build(GetParam(), component.c_str()), recording, half + ".")) {
      EXPECT_LE(relative_l2(output.view(), recording.at(half + "." + name).view()), kTolerance)
          << component;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, Vaes, testing::ValuesIn(cases("vae-")), test_name);
INSTANTIATE_TEST_SUITE_P(TinyClass, Vaes, testing::ValuesIn(cases("tiny-")), test_name);

}  // namespace
}  // namespace tenon::tests
