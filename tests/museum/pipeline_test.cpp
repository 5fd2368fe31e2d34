// Faults between the networks of a picture model, its scheduler and the request: named before a
// picture is made, or from the first step.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mapped_file.h"
#include "museum.h"
#include "pipelines/text_to_image/preflight.h"
#include "pipelines/text_to_image/session_models.h"
#include "text/tokenizer.h"

namespace tenon::museum {
namespace {

using pipelines::DiffusionFacts;
using pipelines::Finding;
using pipelines::ImageRequest;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

const Target kExact = Target::reference_run();

const text::Tokenizer& tokenizer() {
  static const auto kTokenizer = text::load_tokenizer(tiny_folder() / "tokenizer");
  return *kTokenizer;
}

Json scheduler_config() { return read_json(tiny_folder() / "scheduler" / "scheduler_config.json"); }

pipelines::PictureEngines engines() {
  return {{"text_encoder", engine_of("text_encoder", kExact)},
          {"unet", engine_of("unet", kExact)},
          {"vae_decoder", engine_of("vae_decoder", kExact)}};
}

pipelines::PictureFiles files() {
  pipelines::PictureFiles all;
  for (const char* name : {"unet/config.json", "vae/config.json", "text_encoder/config.json"})
    all[name] = read_file(tiny_folder() / name);
  return all;
}

ImageRequest request() {
  ImageRequest asked;
  asked.prompt = "a cat";
  asked.width = 16;
  asked.height = 16;
  asked.steps = 2;
  return asked;
}

std::vector<std::string> texts(const std::vector<Finding>& findings) {
  std::vector<std::string> all;
  for (const auto& finding : findings) all.push_back(finding.text());
  return all;
}

// The part with a size of an input set to a number.
EnginePtr fixed(const std::string& part, const std::string& input, std::size_t axis,
                std::int64_t size) {
  Fault fault;
  fault.graph = [=](graph::Graph& graph) {
    const auto names = graph.value(*graph.find_value(input)).shape[axis].symbols();
    ASSERT_EQ(names.size(), 1U);
    graph.substitute({{names[0], Dim(size)}});
  };
  return engine_of(part, kExact, fault);
}

// What a request meets: the findings of preflight, and that a run says the same.
std::vector<std::string> refused(const pipelines::PictureEngines& made, const ImageRequest& asked) {
  pipelines::SessionModels models(made, files(), cpu());
  const auto found = pipelines::preflight(models.facts(), tokenizer(), scheduler_config(), asked);
  pipelines::TextToImage pipeline(models, tokenizer(), scheduler_config());
  EXPECT_THROW(pipeline.run(asked), Error);
  return texts(found);
}

// Stable Diffusion 2 at 768 with the scheduler of Stable Diffusion 1.
TEST(Museum, SchedulerWithoutVPredictionByItsConfig) {
  DiffusionFacts facts;
  facts.cross_attention_dim = 1024;
  facts.native_size = 768;
  facts.scaling_factor = 0.18215;
  Json config = scheduler_config();
  config["prediction_type"] = "epsilon";
  EXPECT_THAT(texts(pipelines::check_model(facts, tokenizer(), config)),
              Contains(AllOf(HasSubstr("predicts v"), HasSubstr("says epsilon"),
                             HasSubstr("\"prediction_type\": \"v_prediction\""))));
  config["prediction_type"] = "v_prediction";
  EXPECT_THAT(texts(pipelines::check_model(facts, tokenizer(), config)),
              testing::Not(Contains(HasSubstr("predicts v"))));
}

// With nothing but numbers: a network of velocities gives nothing of its input for pure noise.
TEST(Museum, SchedulerWithoutVPredictionByTheFirstStep) {
  std::vector<float> noise(4096);
  std::vector<float> picture(4096);
  for (std::size_t i = 0; i < noise.size(); ++i) {
    noise[i] = static_cast<float>(std::sin(static_cast<double>(i * i % 8191)));
    picture[i] = static_cast<float>(std::cos(static_cast<double>(i) * 0.01));
  }
  Json config = {{"prediction_type", "epsilon"}};
  EXPECT_THAT(texts(pipelines::check_prediction(config, noise, picture)),
              Contains(AllOf(HasSubstr("trained on v_prediction"), HasSubstr("says epsilon"))));
  EXPECT_TRUE(pipelines::check_prediction(config, noise, noise).empty());
  config["prediction_type"] = "v_prediction";
  EXPECT_THAT(texts(pipelines::check_prediction(config, noise, noise)),
              Contains(HasSubstr("trained on epsilon")));
  EXPECT_TRUE(pipelines::check_prediction(config, noise, picture).empty());
}

TEST(Museum, UnetBuiltForABatchThatGuidanceDoesNotGive) {
  auto made = engines();
  made["unet"] = fixed("unet", "sample", 0, 3);
  EXPECT_THAT(refused(made, request()),
              Contains(AllOf(HasSubstr("batch of 3"), HasSubstr("needs 2"),
                             HasSubstr("guidance doubles it"), HasSubstr("batch left open"))));
}

// One picture at a time is slower, and right: it runs and says so.
TEST(Museum, UnetBuiltForOnePictureRunsTwiceAStep) {
  auto made = engines();
  pipelines::SessionModels open(made, files(), cpu());
  const auto expected =
      pipelines::TextToImage(open, tokenizer(), scheduler_config()).run(request());
  made["unet"] = fixed("unet", "sample", 0, 1);
  pipelines::SessionModels one(made, files(), cpu());
  const auto found = pipelines::TextToImage(one, tokenizer(), scheduler_config()).run(request());
  EXPECT_THAT(found.notes, Contains(AllOf(HasSubstr("batch of 1"), HasSubstr("2 runs a step"))));
  EXPECT_EQ(found.images[0].pixels(), expected.images[0].pixels());
}

TEST(Museum, TextEncoderBuiltForTooFewTokens) {
  auto made = engines();
  made["text_encoder"] = fixed("text_encoder", "input_ids", 1, 64);
  EXPECT_THAT(refused(made, request()),
              Contains(AllOf(HasSubstr("built for 64 tokens"), HasSubstr("trained on 77"),
                             HasSubstr("export or build it for 77"))));
}

TEST(Museum, SmallPicturesOfALargeModel) {
  DiffusionFacts facts;
  facts.native_size = 768;
  facts.scaling_factor = 0.18215;
  ImageRequest asked = request();
  asked.width = asked.height = 512;
  const auto found = pipelines::preflight(facts, tokenizer(), scheduler_config(), asked);
  EXPECT_THAT(texts(found), Contains(AllOf(HasSubstr("512 x 512"), HasSubstr("768 x 768"),
                                           HasSubstr("ask for the native size"))));
  for (const auto& finding : found) EXPECT_NE(finding.severity, Finding::Severity::error);
}

TEST(Museum, UnetAndTextEncoderOfTwoCheckpoints) {
  DiffusionFacts facts;
  facts.scaling_factor = 0.18215;
  facts.text_width = 768;
  facts.unet_text_width = 1024;
  EXPECT_THAT(texts(pipelines::check_model(facts, tokenizer(), scheduler_config())),
              Contains(AllOf(HasSubstr("width 768"), HasSubstr("takes 1024"),
                             HasSubstr("768 is Stable Diffusion 1, 1024 is 2"))));
}

TEST(Museum, TimestepsWithFractionsForAnEngineOfIntegers) {
  auto made = engines();
  pipelines::SessionModels models(made, files(), cpu());
  Json config = scheduler_config();
  config["timestep_spacing"] = "linspace";
  ImageRequest asked = request();
  asked.steps = 7;
  asked.scheduler = "euler";
  const auto result = pipelines::TextToImage(models, tokenizer(), config).run(asked);
  EXPECT_THAT(result.notes, Contains(AllOf(HasSubstr("fractions are cut off"),
                                           HasSubstr("export the unet with a float timestep"))));
}

TEST(Museum, NanReachesThePipelineAndIsNamed) {
  auto made = engines();
  made["vae_decoder"] = engine_of("vae_decoder", kExact, nan_in("decoder.conv_in.weight"));
  pipelines::SessionModels models(made, files(), cpu());
  pipelines::TextToImage pipeline(models, tokenizer(), scheduler_config());
  try {
    pipeline.run(request());
    FAIL() << "a picture of NaN passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::check_failed);
    EXPECT_THAT(error.what(), HasSubstr("vae_decoder"));
  }
}

}  // namespace
}  // namespace tenon::museum
