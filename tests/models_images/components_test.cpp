// Every tiny component, by the reference run, against what diffusers and transformers gave.
#include "models/components.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "picture_models.h"

namespace tenon::tests {
namespace {

using models::BuildOptions;
using models::TimestepForm;

std::vector<std::string> cases(const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(picture_folder(""))) {
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

graph::Graph build(const std::string& name, const char* component,
                   const BuildOptions& options = {}) {
  return models::build_component(checkpoint::Checkpoint::open(picture_folder(name)), component,
                                 options);
}

class Unets : public testing::TestWithParam<std::string> {};

TEST_P(Unets, GiveTheRecordedNoiseForOneTime) {
  const Recording recording = read_npz(picture_folder(GetParam()) / "expected.npz");
  if (!recording.contains("timestep")) GTEST_SKIP() << "this time is a fraction";
  BuildOptions options;
  options.any_size = GetParam() == "unet-any-size";
  const auto outputs = run_reference(build(GetParam(), "unet", options), recording, "");
  EXPECT_LE(relative_l2(outputs.at("out_sample").view(), recording.at("out_sample").view()),
            kPictureTolerance);
}

TEST_P(Unets, GiveTheRecordedNoiseForATimeEach) {
  const Recording recording = read_npz(picture_folder(GetParam()) / "expected.npz");
  BuildOptions options;
  options.any_size = true;
  options.timestep_form = TimestepForm::per_batch_float;
  const auto outputs =
      run_reference(build(GetParam(), "unet", options), recording, "", {{"timestep", "timesteps"}});
  EXPECT_LE(relative_l2(outputs.at("out_sample").view(), recording.at("out_sample_each").view()),
            kPictureTolerance);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Unets, testing::ValuesIn(cases("unet-")), test_name);

class Clips : public testing::TestWithParam<std::string> {};

TEST_P(Clips, GiveTheRecordedStates) {
  const Recording recording = read_npz(picture_folder(GetParam()) / "expected.npz");
  BuildOptions options;
  options.hidden_states = true;
  const auto outputs = run_reference(build(GetParam(), "text_encoder", options), recording, "");
  ASSERT_EQ(outputs.size(), recording.size() - 1);
  for (const auto& [name, output] : outputs)
    EXPECT_LE(relative_l2(output.view(), recording.at(name).view()), kPictureTolerance) << name;
}

INSTANTIATE_TEST_SUITE_P(Tiny, Clips, testing::ValuesIn(cases("clip-")), test_name);

class Vaes : public testing::TestWithParam<std::string> {};

TEST_P(Vaes, GiveTheRecordedLatentsAndPictures) {
  const Recording recording = read_npz(picture_folder(GetParam()) / "expected.npz");
  for (const std::string half : {"encoder", "decoder"}) {
    const std::string component = "vae_" + half;
    for (const auto& [name, output] :
         run_reference(build(GetParam(), component.c_str()), recording, half + ".")) {
      EXPECT_LE(relative_l2(output.view(), recording.at(half + "." + name).view()),
                kPictureTolerance)
          << component;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, Vaes, testing::ValuesIn(cases("vae-")), test_name);
INSTANTIATE_TEST_SUITE_P(TinyClass, Vaes, testing::ValuesIn(cases("tiny-")), test_name);

}  // namespace
}  // namespace tenon::tests
