// Every tiny component, by the reference run, against what diffusers and transformers gave.
#include "models/components.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/unet_2d_condition.h"
#include "picture_models.h"

namespace tenon::tests {
namespace {

using models::BuildOptions;
using models::TimestepForm;

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

// Each of some 400 nodes rounds its result to half a unit in the last place at the most: 2^-11
// (float16) or 2^-8 (bfloat16) relative. Such errors add up like a random walk, 20 steps of it.
constexpr double kHalfTolerance = 20.0 / 2048;
constexpr double kBrainTolerance = 20.0 / 256;

TEST(HalfUnets, StayAsNearAsTheirTypeAllows) {
  for (const auto& [dtype, tolerance] :
       {std::pair{DType::f16, kHalfTolerance}, std::pair{DType::bf16, kBrainTolerance}}) {
    for (const std::string name : {"unet-base", "unet-sd2", "unet-any-size"}) {
      Recording recording = read_npz(picture_folder(name) / "expected.npz");
      for (const char* input : {"sample", "encoder_hidden_states"})
        recording[input] = converted(recording.at(input).view(), dtype);
      BuildOptions options;
      options.dtype = dtype;
      options.any_size = true;
      const auto outputs = run_reference(build(name, "unet", options), recording, "");
      const Tensor& found = outputs.at("out_sample");
      ASSERT_EQ(found.dtype(), dtype);
      const Tensor wide = converted(found.view(), DType::f32);
      EXPECT_LE(relative_l2(wide.view(), recording.at("out_sample").view()), tolerance) << name;
    }
  }
}

TEST(Unet, TakesNumAttentionHeadsForTheNumberOfHeads) {
  const auto part = checkpoint::Checkpoint::open(picture_folder("unet-sd2"));
  Json config = part.config();
  config["num_attention_heads"] = config.at("attention_head_dim");
  config["attention_head_dim"] = 3;
  const models::Weights weights = [&](const std::string& name, const Shape& shape) {
    return part.weight(name, shape);
  };
  const Recording recording = read_npz(picture_folder("unet-sd2") / "expected.npz");
  const auto outputs =
      run_reference(models::build_unet_2d_condition(config, weights, {}), recording, "");
  EXPECT_LE(relative_l2(outputs.at("out_sample").view(), recording.at("out_sample").view()),
            kPictureTolerance);
}

TEST(Unet, RefusesSizesThatDoNotDoubleBack) {
  const Recording recording = read_npz(picture_folder("unet-any-size") / "expected.npz");
  EXPECT_THROW(run_reference(build("unet-any-size", "unet"), recording, ""), Error);
}

TEST(Components, NameWhatTheyAre) {
  const auto unet = checkpoint::Checkpoint::open(picture_folder("unet-base"));
  const graph::Graph graph = models::build_component(unet, "unet");
  EXPECT_EQ(graph.name, "unet");
  std::set<std::string> modules;
  for (const graph::NodeId id : graph.order()) modules.insert(graph.node(id).module);
  for (const char* module :
       {"conv_in", "time_embedding.linear_1", "down_blocks.0.resnets.0.conv1",
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k",
        "up_blocks.0.upsamplers.0.conv", "mid_block.attentions.0.proj_in", "conv_norm_out"})
    EXPECT_TRUE(modules.contains(module)) << module;
  EXPECT_THROW(models::build_component(unet, "vae_decoder"), Error);
  EXPECT_THROW(models::build_component(unet, "prior"), Error);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Unets, testing::ValuesIn(picture_cases("unet-")), test_name);

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

INSTANTIATE_TEST_SUITE_P(Tiny, Clips, testing::ValuesIn(picture_cases("clip-")), test_name);

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

INSTANTIATE_TEST_SUITE_P(Tiny, Vaes, testing::ValuesIn(picture_cases("vae-")), test_name);
INSTANTIATE_TEST_SUITE_P(TinyClass, Vaes, testing::ValuesIn(picture_cases("tiny-")), test_name);

}  // namespace
}  // namespace tenon::tests
