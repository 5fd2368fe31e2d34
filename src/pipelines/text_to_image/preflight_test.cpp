// Contradictions that are named before a picture is made, each with its fix.
#include "pipelines/text_to_image/preflight.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/text_to_image/recorded_models.h"
#include "pipelines/text_to_image/torch_random.h"

namespace tenon::pipelines {
namespace {

using ::testing::HasSubstr;
using Severity = Finding::Severity;

struct Case {
  DiffusionFacts facts;
  Json scheduler = {{"_class_name", "DDIMScheduler"}, {"prediction_type", "v_prediction"}};
  ImageRequest request;
};

// Stable Diffusion 2.1 at 768, as it should be.
Case good() {
  Case test;
  test.facts.native_size = 768;
  test.facts.scaling_factor = 0.18215;
  test.facts.text_width = test.facts.unet_text_width = test.facts.cross_attention_dim = 1024;
  test.facts.model_text_length = 77;
  test.facts.has_encoder = true;
  return test;
}

std::vector<Finding> findings(const Case& test) {
  static const auto kTokenizer = text::load_tokenizer(kRecordings / "tiny/tokenizer");
  return preflight(test.facts, *kTokenizer, test.scheduler, test.request);
}

TEST(Preflight, IsSilentOnWhatFits) {
  for (const auto& finding : findings(good())) ADD_FAILURE() << finding.text();
}

TEST(Preflight, NamesEachContradictionAndItsFix) {
  const image::Image picture(768, 768, 3);
  struct Fault {
    std::function<void(Case&)> make;
    Severity severity;
    const char* message;
    const char* advice;
  };
  const Fault faults[] = {
      {[](Case& c) { c.scheduler["prediction_type"] = "epsilon"; }, Severity::warning,
       "says epsilon", "v_prediction"},
      {[](Case& c) { c.scheduler.erase("prediction_type"); }, Severity::warning, "says epsilon",
       "v_prediction"},
      {[](Case& c) { c.request.width = c.request.height = 512; }, Severity::warning,
       "512 x 512 pixels, the model was trained at 768", "native size"},
      {[](Case& c) { c.request.width = 700; }, Severity::error, "multiples of 64", "704"},
      {[](Case& c) { c.facts.text_length = 64; }, Severity::error,
       "built for 64 tokens, the model was trained on 77", "77"},
      {[](Case& c) { c.facts.fixed_text_tokens = 64; }, Severity::error, "built for 64 text tokens",
       "77"},
      {[](Case& c) { c.facts.fixed_batch = 1; }, Severity::note, "2 runs a step", "left open"},
      {[](Case& c) { c.facts.fixed_batch = 3; }, Severity::error, "batch of 3, a step needs 2",
       "left open"},
      {[](Case& c) { c.facts.unet_channels = 8; }, Severity::error, "8 channels", "one checkpoint"},
      {[](Case& c) { c.facts.unet_channels = 9; }, Severity::error, "inpainting", "mask"},
      {[](Case& c) { c.facts.unet_text_width = 768; }, Severity::error, "width 1024, the unet",
       "768 is Stable Diffusion 1"},
      {[](Case& c) { c.facts.scaling_factor.reset(); }, Severity::warning, "scaling_factor",
       "vae/config.json"},
      {[](Case& c) { c.facts.text_vocabulary = 100; }, Severity::error, "knows 100", "checkpoint"},
      {[](Case& c) {
         c.facts.fixed_width = c.facts.fixed_height = 64;
         c.request.width = 768;
       },
       Severity::error, "built for pictures of 512 x 512", "left open"},
      {[&](Case& c) { c.request.mask = picture; }, Severity::error, "mask without", "picture"},
      {[&](Case& c) {
         c.facts.has_encoder = false;
         c.request.init_image = picture;
       },
       Severity::error, "encoder", "vae_encoder"},
      {[](Case& c) { c.request.images = 0; }, Severity::error, "number of images is 0", ""},
      {[](Case& c) { c.request.guidance = -1; }, Severity::error, "guidance is -1", ""},
      {[](Case& c) {
         c.request.seeds = {1, 2, 3};
       },
       Severity::error, "3 seeds", "one"},
      {[](Case& c) { c.facts.cross_attention_dim = 768; }, Severity::note, "Stable Diffusion 1",
       "epsilon"},
      {[](Case& c) {
         c.scheduler["rescale_betas_zero_snr"] = true;
         c.scheduler["prediction_type"] = "epsilon";
         c.facts.native_size = 512;
         c.request.width = c.request.height = 512;
       },
       Severity::warning, "rescale_betas_zero_snr", "v_prediction"},
  };
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.message);
    Case test = good();
    fault.make(test);
    const auto all = findings(test);
    ASSERT_EQ(all.size(), 1U) << (all.empty() ? "" : all[1].text());
    EXPECT_EQ(all[0].severity, fault.severity);
    EXPECT_THAT(all[0].message, HasSubstr(fault.message));
    EXPECT_THAT(all[0].advice, HasSubstr(fault.advice));
  }
}

TEST(Preflight, PutsErrorsFirst) {
  Case test = good();
  test.facts.scaling_factor.reset();
  test.facts.fixed_batch = 1;
  test.request.images = 0;
  const auto all = findings(test);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].severity, Severity::error);
  EXPECT_EQ(all[1].severity, Severity::warning);
  EXPECT_EQ(all[2].severity, Severity::note);
}

TEST(CheckPrediction, TellsNoiseFromVelocity) {
  std::vector<float> sample(4 * 64 * 64);
  std::vector<float> other(sample.size());
  TorchGenerator generator(1);
  generator.randn(std::span<float>(sample));
  generator.randn(std::span<float>(other));
  const Json epsilon = {{"prediction_type", "epsilon"}};
  const Json velocity = {{"prediction_type", "v_prediction"}};
  // Independent draws correlate by 1 / sqrt(16384) = 0.008 or so.
  EXPECT_TRUE(check_prediction(epsilon, sample, sample).empty());
  EXPECT_TRUE(check_prediction(velocity, sample, other).empty());
  ASSERT_EQ(check_prediction(epsilon, sample, other).size(), 1U);
  EXPECT_THAT(check_prediction(epsilon, sample, other)[0].advice, HasSubstr("v_prediction"));
  ASSERT_EQ(check_prediction(velocity, sample, sample).size(), 1U);
  EXPECT_THAT(check_prediction(velocity, sample, sample)[0].advice, HasSubstr("epsilon"));
  EXPECT_TRUE(check_prediction({{"prediction_type", "sample"}}, sample, other).empty());
}

}  // namespace
}  // namespace tenon::pipelines
