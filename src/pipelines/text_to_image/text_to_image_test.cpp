// The pipeline around the networks against recorded runs of diffusers, step by step, and its own
// promises: errors, cancelling, statistics.
#include "pipelines/text_to_image/text_to_image.h"

#include <algorithm>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/text_to_image/recorded_models.h"

namespace tenon::pipelines {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

const text::Tokenizer& tokenizer() {
  static const auto kTokenizer = text::load_tokenizer(kRecordings / "tiny/tokenizer");
  return *kTokenizer;
}

const Json& run_named(const std::string& name) {
  for (const Json& run : recorded_runs()) {
    if (run["name"] == name) return run;
  }
  bad_input("no run {}", name);
}

class RecordedRun : public testing::TestWithParam<std::size_t> {};

TEST_P(RecordedRun, IsThatOfDiffusers) {
  const Json& run = recorded_runs()[GetParam()];
  const std::string name = run["name"];
  const ImageRequest request = recorded_request(run);
  RecordedModels models(name, recorded_facts(run));
  TextToImage pipeline(models, tokenizer(), run["scheduler_config"]);
  std::int64_t steps = 0;
  const ImageResult result = pipeline.run(request, [&](const StepEvent& event) {
    EXPECT_EQ(event.index, steps);
    const std::string key = "latents." + std::to_string(steps++);
    expect_near(*event.latents, recorded(name, key), 1e-5 * static_cast<double>(steps), key);
    return true;
  });
  EXPECT_FALSE(has_recording(name, "latents." + std::to_string(steps))) << "too few steps";
  EXPECT_EQ(models.calls("unet"), steps);
  EXPECT_EQ(result.step_s.size(), static_cast<std::size_t>(steps));

  const Tensor& pictures = recorded(name, "images");
  ASSERT_EQ(static_cast<std::int64_t>(result.images.size()), pictures.shape()[0]);
  const bool tiled = get_bool(run, "tiles", false);
  std::size_t at = 0;
  for (const auto& image : result.images) {
    EXPECT_EQ(image.width(), pictures.shape()[2]);
    EXPECT_EQ(image.height(), pictures.shape()[1]);
    for (const std::uint8_t value : image.pixels()) {
      // The decoder's output is the recorded one; where tiles are blended, the last bit of a float
      // may turn a half the other way.
      EXPECT_LE(std::abs(value - pictures.as<std::uint8_t>()[at++]), tiled ? 1 : 0);
    }
  }
}

std::string run_name(const testing::TestParamInfo<std::size_t>& info) {
  std::string name = recorded_runs()[info.param]["name"];
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Recorded, RecordedRun,
                         testing::Range<std::size_t>(0, recorded_runs().size()), run_name);

TEST(TextToImage, HasRunsOfEveryKind) { EXPECT_GE(recorded_runs().size(), 35U); }

struct Outcome {
  ImageResult result;
  std::string error;
};

// Runs the recorded text-ddim with changes.
template <typename Change>
Outcome changed(Change change, const OnStep& on_step = {}, const std::string& name = "text-ddim") {
  const Json& run = run_named(name);
  ImageRequest request = recorded_request(run);
  DiffusionFacts facts = recorded_facts(run);
  Json config = run["scheduler_config"];
  change(request, facts, config);
  RecordedModels models(name, facts);
  TextToImage pipeline(models, tokenizer(), config);
  try {
    return {pipeline.run(request, on_step), ""};
  } catch (const Error& error) {
    return {{}, error.what()};
  }
}
const auto kUnchanged = [](ImageRequest&, DiffusionFacts&, Json&) {};

TEST(TextToImage, StopsWhenAsked) {
  int steps = 0;
  const auto outcome = changed(kUnchanged, [&](const StepEvent&) { return ++steps < 2; });
  EXPECT_EQ(steps, 2);
  EXPECT_TRUE(outcome.result.cancelled);
  EXPECT_TRUE(outcome.result.images.empty());
  EXPECT_EQ(outcome.result.statistics.size(), 2U);
}

TEST(TextToImage, KeepsStatisticsAndPreviews) {
  int previews = 0;
  const auto outcome =
      changed([](ImageRequest& request, DiffusionFacts&, Json&) { request.preview_every = 2; },
              [&](const StepEvent& event) {
                if (event.previews == nullptr) return true;
                EXPECT_EQ(event.index, 1);
                EXPECT_EQ(event.previews->at(0).width(), 8);
                ++previews;
                return true;
              });
  EXPECT_EQ(previews, 1);  // of the last step there is the picture itself
  ASSERT_EQ(outcome.result.statistics.size(), 4U);
  const auto& last = outcome.result.statistics.back();
  EXPECT_EQ(last.not_finite, 0);
  EXPECT_GT(last.deviation, 0.1);
  EXPECT_LE(last.low, last.mean);
  EXPECT_LE(last.mean, last.high);
}

/// Every row by itself: what a network gives for it depends on nothing else.
class RowByRow final : public DiffusionModels {
 public:
  explicit RowByRow(DiffusionFacts facts) : facts_(std::move(facts)) {}
  const DiffusionFacts& facts() const override { return facts_; }
  Tensor encode_text(const Tensor& ids, std::int64_t) override {
    Tensor states(DType::f32, {ids.shape()[0], ids.shape()[1], facts_.text_width});
    for (std::size_t i = 0; i < states.as<float>().size(); ++i) {
      const auto id = ids.as<std::int64_t>()[i / static_cast<std::size_t>(facts_.text_width)];
      states.as<float>()[i] = 0.01F * static_cast<float>(id % 97);
    }
    return states;
  }
  Tensor predict_noise(const Tensor& sample, double timestep, const Tensor& states,
                       const Tensor*) override {
    batches.push_back(sample.shape()[0]);
    if (sample.shape()[0] > most) bad_input("too many rows");
    Tensor output = sample;
    const auto rows = static_cast<std::size_t>(sample.shape()[0]);
    const std::size_t each = output.as<float>().size() / rows;
    const std::size_t words = states.as<float>().size() / rows;
    for (std::size_t i = 0; i < output.as<float>().size(); ++i) {
      float& value = output.as<float>()[i];
      value = 0.9F * value + 1e-4F * static_cast<float>(timestep) +
              states.as<float>()[i / each * words + i % each % words];
    }
    return output;
  }
  Tensor decode(const Tensor& latents) override {
    Tensor out(DType::f32, {latents.shape()[0], 3, latents.shape()[2] * facts_.spatial_factor,
                            latents.shape()[3] * facts_.spatial_factor});
    const std::size_t each = out.as<float>().size() / static_cast<std::size_t>(latents.shape()[0]);
    const std::size_t from =
        latents.as<float>().size() / static_cast<std::size_t>(latents.shape()[0]);
    for (std::size_t i = 0; i < out.as<float>().size(); ++i)
      out.as<float>()[i] = latents.as<float>()[i / each * from + i % each % from];
    return out;
  }
  LatentParameters encode(const Tensor&) override { return {}; }
  Tensor decode_preview(const Tensor& latents) override { return decode(latents); }

  std::vector<std::int64_t> batches;
  std::int64_t most = 100;

 private:
  DiffusionFacts facts_;
};

/// Three requests with little in common but their size.
class Together : public testing::Test {
 protected:
  Together() : run_(run_named("text-ddim")), models_(recorded_facts(run_)) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      ImageRequest request = recorded_request(run_);
      request.prompt = i == 0 ? "a house" : "a tree and a very small cat";
      request.seeds = {7 + i};
      request.guidance = 3 + static_cast<double>(i);
      request.images = i == 1 ? 2 : 1;
      requests_.push_back(request);
    }
  }
  std::vector<SharedRun> runs() const {
    std::vector<SharedRun> made;
    for (const auto& request : requests_) made.push_back({&request, {}, {}, nullptr});
    return made;
  }
  ImageResult alone(std::size_t i) { return pipeline_.run(requests_[i]); }
  static void expect_equal(const ImageResult& a, const ImageResult& b) {
    ASSERT_EQ(a.latents.shape(), b.latents.shape());
    EXPECT_TRUE(std::ranges::equal(a.latents.as<float>(), b.latents.as<float>()));
    EXPECT_TRUE(std::ranges::equal(a.decoded.as<float>(), b.decoded.as<float>()));
    EXPECT_EQ(a.images.size(), b.images.size());
  }

  const Json& run_;
  RowByRow models_;
  std::vector<ImageRequest> requests_;
  TextToImage pipeline_{models_, tokenizer(), run_["scheduler_config"]};
};

TEST_F(Together, PicturesAreThoseOfRunsAlone) {
  auto shared = runs();
  pipeline_.run_together(shared);
  // Each step is one call for all, two rows a picture.
  EXPECT_THAT(models_.batches, testing::Each(8));
  EXPECT_EQ(models_.batches.size(), shared[0].result.step_s.size());
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(shared[i].error, nullptr);
    expect_equal(shared[i].result, alone(i));
  }
}

TEST_F(Together, OneMayStopAnotherFailAndOthersHaveFewerSteps) {
  requests_[0].steps = 2;
  requests_[1].width = 3;  // no such picture
  int steps = 0;
  requests_.push_back(requests_[2]);
  auto shared = runs();
  shared[2].on_step = [&](const StepEvent& event) {
    EXPECT_EQ(event.index, steps);
    return ++steps < 2;
  };
  pipeline_.run_together(shared);
  EXPECT_TRUE(shared[2].result.cancelled);
  EXPECT_EQ(steps, 2);
  EXPECT_NE(shared[1].error, nullptr);
  expect_equal(shared[0].result, alone(0));
  expect_equal(shared[3].result, alone(3));
}

TEST_F(Together, WhatFailsTogetherIsDrawnAlone) {
  models_.most = 4;
  auto shared = runs();
  pipeline_.run_together(shared);
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(shared[i].error, nullptr);
    expect_equal(shared[i].result, alone(i));
  }
}

TEST(TextToImage, NamesTheStepOfNaN) {
  class Broken final : public DiffusionModels {
   public:
    explicit Broken(RecordedModels& good) : good_(good) {}
    const DiffusionFacts& facts() const override { return good_.facts(); }
    Tensor encode_text(const Tensor& ids, std::int64_t skip) override {
      return good_.encode_text(ids, skip);
    }
    Tensor predict_noise(const Tensor& sample, double timestep, const Tensor& states,
                         const Tensor* cond) override {
      Tensor output = good_.predict_noise(sample, timestep, states, cond);
      if (++calls == 3) output.as<float>()[5] = std::numeric_limits<float>::quiet_NaN();
      return output;
    }
    Tensor decode(const Tensor& latents) override { return good_.decode(latents); }
    LatentParameters encode(const Tensor& images) override { return good_.encode(images); }
    Tensor decode_preview(const Tensor& latents) override { return good_.decode_preview(latents); }
    int calls = 0;

   private:
    RecordedModels& good_;
  };
  const Json& run = run_named("text-ddim");
  RecordedModels good("text-ddim", tiny_facts());
  Broken models(good);
  TextToImage pipeline(models, tokenizer(), run["scheduler_config"]);
  try {
    pipeline.run(recorded_request(run));
    FAIL() << "NaN passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::check_failed);
    EXPECT_THAT(error.what(), HasSubstr("unet"));
    EXPECT_THAT(error.what(), HasSubstr("step 3 of 4"));
    EXPECT_THAT(error.what(), HasSubstr("1 of 512"));
  }
}

TEST(TextToImage, RefusesSizesItCannotMake) {
  const auto outcome = changed([](ImageRequest& request, DiffusionFacts&, Json&) {
    request.width = 17;
    request.height = 16;
  });
  EXPECT_THAT(outcome.error, HasSubstr("multiples of 4"));
  EXPECT_THAT(outcome.error, HasSubstr("16 x 16"));
}

TEST(TextToImage, TellsOfOldConfigs) {
  const auto outcome = changed(kUnchanged, {}, "text-old");
  EXPECT_EQ(outcome.error, "");
  EXPECT_THAT(outcome.result.notes, Contains(HasSubstr("steps_offset 0; 1 is taken")));
  EXPECT_THAT(outcome.result.notes, Contains(HasSubstr("clip_sample true; false is taken")));
}

TEST(TextToImage, NamesTheWordsCutOff) {
  const auto outcome = changed(kUnchanged, {}, "text-long");
  EXPECT_EQ(outcome.error, "");
  EXPECT_THAT(outcome.result.notes, Contains(HasSubstr("cut off: \"")));
}

TEST(TextToImage, RefusesUnknownSchedulersAndSteps) {
  EXPECT_THAT(changed([](ImageRequest& request, DiffusionFacts&, Json&) {
                request.scheduler = "best";
              }).error,
              HasSubstr("best"));
  EXPECT_NE(changed([](ImageRequest& request, DiffusionFacts&, Json&) { request.steps = 0; }).error,
            "");
  EXPECT_THAT(changed([](ImageRequest& request, DiffusionFacts&, Json&) {
                request.seeds = {1, 2};
              }).error,
              HasSubstr("2 seeds for 1 images"));
}

TEST(ResolveSize, TakesTheModelsAndTheImages) {
  DiffusionFacts facts;
  facts.native_size = 768;
  ImageRequest request;
  EXPECT_EQ(resolve_size(request, facts).width, 768);
  request.init_image = image::Image(700, 130, 3);
  EXPECT_EQ(resolve_size(request, facts).width, 640);
  EXPECT_EQ(resolve_size(request, facts).height, 128);
  facts.fixed_width = 64;
  EXPECT_EQ(resolve_size(request, facts).width, 512);
  request.width = 576;
  EXPECT_EQ(resolve_size(request, facts).width, 576);
  request.height = std::numeric_limits<std::int64_t>::max();
  EXPECT_THROW(resolve_size(request, facts), Error);
  request.width = request.height = -64;
  EXPECT_THROW(resolve_size(request, facts), Error);
  request.width = request.height = 8192;
  EXPECT_EQ(resolve_size(request, facts).height, 8192);
  request.images = 2;
  EXPECT_THROW(resolve_size(request, facts), Error);
}

}  // namespace
}  // namespace tenon::pipelines
