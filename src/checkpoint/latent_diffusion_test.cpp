#include "checkpoint/latent_diffusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/diffusion.h"
#include "checkpoint/latent_diffusion_names.h"
#include "checkpoint/original_config.h"
#include "checkpoint/test_files.h"

namespace tenon::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;
using testing::TemporaryDirectory;

using Shapes = std::vector<std::pair<std::string, Shape>>;

// A safetensors file of float16 zeros.
std::string zeros(const Shapes& shapes) {
  Json header = Json::object();
  std::uint64_t end = 0;
  for (const auto& [name, shape] : shapes) {
    const std::uint64_t begin = end;
    end += 2 * static_cast<std::uint64_t>(element_count(shape));
    header[name] = {{"dtype", "F16"}, {"shape", shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text += std::string((8 - text.size() % 8) % 8, ' ');
  return testing::safetensors(text, std::string(end, '\0'));
}

// What decides the configuration of a network over latents with two resolutions.
Shapes unet(std::int64_t text_width, bool linear, std::int64_t in_channels = 4) {
  const std::string root = "model.diffusion_model.";
  const std::string attention = root + "input_blocks.1.1.";
  const std::string block = attention + "transformer_blocks.0.";
  return {{root + "input_blocks.0.0.weight", {64, in_channels, 3, 3}},
          {root + "input_blocks.1.0.in_layers.2.weight", {64, 64, 3, 3}},
          {root + "input_blocks.2.0.op.weight", {64, 64, 3, 3}},
          {root + "input_blocks.3.0.in_layers.2.weight", {128, 64, 3, 3}},
          {attention + "proj_in.weight", linear ? Shape{64, 64} : Shape{64, 64, 1, 1}},
          {block + "attn1.to_k.weight", {64, 64}},
          {block + "attn2.to_k.weight", {64, text_width}},
          {root + "out.2.weight", {4, 64, 3, 3}}};
}

DiffusionCheckpoint open(const TemporaryDirectory& directory, const Shapes& shapes,
                         const DiffusionOptions& options = {}) {
  return DiffusionCheckpoint::open(directory.write("model.safetensors", zeros(shapes)), options);
}

std::string prediction(const DiffusionCheckpoint& checkpoint) {
  return checkpoint.scheduler_config().at("prediction_type").get<std::string>();
}

TEST(LatentDiffusion, DerivesTheFirstGenerationFromShapes) {
  const TemporaryDirectory directory;
  const DiffusionCheckpoint checkpoint = open(directory, unet(768, false));
  const Json& config = checkpoint.part("unet").config();
  EXPECT_EQ(config.at("block_out_channels"), Json({64, 128}));
  EXPECT_EQ(config.at("down_block_types"), Json({"CrossAttnDownBlock2D", "DownBlock2D"}));
  EXPECT_EQ(config.at("up_block_types"), Json({"UpBlock2D", "CrossAttnUpBlock2D"}));
  EXPECT_EQ(config.at("layers_per_block"), 1);
  EXPECT_EQ(config.at("cross_attention_dim"), 768);
  EXPECT_EQ(config.at("attention_head_dim"), 8);
  EXPECT_EQ(config.at("use_linear_projection"), false);
  EXPECT_EQ(config.at("sample_size"), 64);
  EXPECT_EQ(prediction(checkpoint), "epsilon");
  EXPECT_EQ(checkpoint.scheduler_config().at("_class_name"), "PNDMScheduler");
}

TEST(LatentDiffusion, SaysThatItAssumesVelocityForTheSecondGeneration) {
  const TemporaryDirectory directory;
  const DiffusionCheckpoint checkpoint = open(directory, unet(1024, true));
  EXPECT_EQ(prediction(checkpoint), "v_prediction");
  EXPECT_THAT(checkpoint.notes(), ::testing::Contains(HasSubstr("v_prediction is assumed")));
  const Json& config = checkpoint.part("unet").config();
  EXPECT_EQ(config.at("attention_head_dim"), Json({1, 2}));
  EXPECT_EQ(config.at("upcast_attention"), true);
  EXPECT_EQ(config.at("sample_size"), 96);
  // A network that takes a mask as well was made from the base model.
  EXPECT_EQ(prediction(open(directory, unet(1024, true, 9))), "epsilon");
}

TEST(LatentDiffusion, TakesThePredictionFromTheOptionsOrTheConfigurationBeside) {
  const TemporaryDirectory directory;
  DiffusionOptions options;
  options.prediction_type = "epsilon";
  const DiffusionCheckpoint told = open(directory, unet(1024, true), options);
  EXPECT_EQ(prediction(told), "epsilon");
  EXPECT_EQ(told.part("unet").config().at("sample_size"), 64);
  EXPECT_THAT(told.notes(), ::testing::Not(::testing::Contains(HasSubstr("assumed"))));
  directory.write("model.yaml", "model:\n  params:\n    timesteps: 500\n");
  const DiffusionCheckpoint read = open(directory, unet(1024, true));
  EXPECT_EQ(prediction(read), "epsilon");
  EXPECT_EQ(read.scheduler_config().at("num_train_timesteps"), 500);
  directory.write("other.yaml", "model: {params: {parameterization: \"v\"}}");
  options = {};
  options.original_config = directory / "other.yaml";
  EXPECT_EQ(prediction(open(directory, unet(1024, true), options)), "v_prediction");
  options.original_config = directory / "absent.yaml";
  EXPECT_THAT(refusal([&] { open(directory, unet(1024, true), options); }),
              HasSubstr("absent.yaml"));
}

TEST(LatentDiffusion, NamesWhatAFileLacks) {
  const TemporaryDirectory directory;
  EXPECT_THAT(refusal([&] {
                open(directory, {{"a", {2}}});
              }),
              HasSubstr("none of its 1 tensors is named model.diffusion_model.*"));
  EXPECT_FALSE(DiffusionCheckpoint::recognizes(directory / "model.safetensors"));
  Shapes shapes = unet(768, false);
  shapes.pop_back();
  EXPECT_THAT(refusal([&] { open(directory, shapes); }), HasSubstr("no tensor conv_out.weight"));
  shapes = unet(768, false);
  shapes[0].second = {64, 4};
  EXPECT_THAT(refusal([&] { open(directory, shapes); }),
              HasSubstr("conv_in.weight has shape [64, 4], 4 dimensions were expected"));
  shapes = unet(768, false);
  shapes.push_back({"model.diffusion_model.input_blocks.4000000000.0.op.weight", {1}});
  EXPECT_THAT(refusal([&] { open(directory, shapes); }), HasSubstr("at most 256 blocks"));
  shapes = unet(1024, true);
  shapes[3].second[0] = 100;
  EXPECT_THAT(refusal([&] { open(directory, shapes); }), HasSubstr("the head width 64"));
}

TEST(LatentDiffusion, SplitsOnlyWhatHasThreeParts) {
  WeightMap weights;
  weights["transformer.resblocks.0.attn.in_proj_weight"] = {
      owned_source(Tensor::from_floats({4, 1}, std::vector<float>{1, 2, 3, 4})), {}};
  EXPECT_THAT(refusal([&] { rename_open_clip(weights); }),
              HasSubstr("has 4 rows, a multiple of 3"));
  weights["transformer.resblocks.0.attn.in_proj_weight"] = {
      owned_source(Tensor::from_floats({3, 1}, std::vector<float>{1, 2, 3})), {}};
  const WeightMap renamed = rename_open_clip(weights);
  const auto& key = renamed.at("text_model.encoder.layers.0.self_attn.k_proj.weight");
  EXPECT_THAT(key.source->load().as<float>(), ElementsAre(2.0F));
}

TEST(OriginalConfig, ReadsMapsListsAndScalars) {
  const Json json = parse_yaml(
      "a:\n  b: [1, 2.5, true]\n  c: \"3\" # text\n  d:\n  - x\n  - y: ~\ne: 1.0e-4\n", "f");
  EXPECT_EQ(json, parse_json(R"({"a": {"b": [1, 2.5, true], "c": "3", "d": ["x", {"y": null}]},
                                 "e": 1.0e-4})",
                             "expected"));
}

TEST(OriginalConfig, RefusesWhatItDoesNotRead) {
  const auto message = [](const std::string& text) {
    return refusal([&] { parse_yaml(text, "file.yaml"); });
  };
  EXPECT_THAT(message("a: [1, 2"), HasSubstr("file.yaml: line"));
  EXPECT_THAT(message("a: &x 1\nb: *x\n"), HasSubstr("aliases are not read"));
  EXPECT_THAT(message("a: 1\na: 2\n"), HasSubstr("line 2: a key stands twice"));
  EXPECT_THAT(message(std::string(100, '[')), HasSubstr("too deep"));
  EXPECT_THAT(message("a: 1\n---\nb: 2\n"), HasSubstr("one document"));
  EXPECT_THAT(message("? [1]\n: 2\n"), HasSubstr("a plain key"));
  EXPECT_THAT(message("\x01"), HasSubstr("not valid YAML"));
}

}  // namespace
}  // namespace tenon::checkpoint
