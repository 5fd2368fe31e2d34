// The small parts of the pipeline: guidance, latents, previews, parameters in files.
#include <cmath>
#include <filesystem>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mapped_file.h"
#include "pipelines/text_to_image/guidance.h"
#include "pipelines/text_to_image/latents.h"
#include "pipelines/text_to_image/parameters.h"
#include "pipelines/text_to_image/preview.h"
#include "pipelines/text_to_image/torch_random.h"
#include "pipelines/text_to_image/vae_tiling.h"

namespace tenon::pipelines {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

double deviation(std::span<const float> values) {
  double mean = 0;
  for (const float value : values) mean += value / static_cast<double>(values.size());
  double sum = 0;
  for (const float value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

TEST(Guidance, GoesBeyondThePrompt) {
  const std::vector<float> uncond = {0, 1};
  std::vector<float> text = {1, 1};
  guide(uncond, text, 1, 7.5, 0);
  EXPECT_THAT(text, ElementsAre(7.5F, 1));
}

TEST(Guidance, RescalesEachImageAlone) {
  std::vector<float> uncond(512);
  std::vector<float> text(512);
  TorchGenerator generator(3);
  generator.randn(std::span<float>(uncond));
  generator.randn(std::span<float>(text));
  for (std::size_t i = 256; i < 512; ++i) text[i] *= 5;
  const std::vector<float> before = text;
  guide(uncond, text, 2, 7.5, 1);
  // With rescale 1 the deviation is that of the prompt's output; 256 roundings of float32.
  for (const std::size_t at : {0U, 256U}) {
    const double expected = deviation(std::span(before).subspan(at, 256));
    EXPECT_NEAR(deviation(std::span(text).subspan(at, 256)), expected, 1e-6 * expected);
  }
  std::vector<float> flat(4, 1.0F);
  guide(std::vector<float>(4, 1.0F), flat, 1, 2, 0.7);
  EXPECT_THAT(flat, ElementsAre(1, 1, 1, 1));
}

TEST(Guidance, IsEmbeddedForDistilledModels) {
  std::vector<float> out(10);
  embed_guidance(1.002, 5, out);
  // 1000 * 0.002 = 2 over the frequencies 1 and 1/10000.
  EXPECT_THAT(out[0], FloatNear(std::sin(2.0F), 1e-6F));
  EXPECT_THAT(out[1], FloatNear(std::sin(2e-4F), 1e-6F));
  EXPECT_THAT(out[2], FloatNear(std::cos(2.0F), 1e-6F));
  EXPECT_EQ(out[4], 0);
  EXPECT_EQ(out[5], out[0]);
}

TEST(Latents, HaveStatisticsOfFiniteValues) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {1, 3, inf, NAN};
  const auto statistics = latent_statistics(values, 7);
  EXPECT_EQ(statistics.mean, 2);
  EXPECT_EQ(statistics.deviation, 1);
  EXPECT_EQ(statistics.low, 1);
  EXPECT_EQ(statistics.high, 3);
  EXPECT_EQ(statistics.not_finite, 2);
  EXPECT_EQ(statistics.timestep, 7);
  EXPECT_EQ(latent_statistics(std::vector<float>{NAN}, 0).mean, 0);
  try {
    require_finite(values, "unet");
    FAIL() << "infinity passed";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("unet: 2 of 4 values"));
    EXPECT_THAT(error.what(), HasSubstr("at 2"));
  }
}

TEST(Latents, AreDrawnAndScaledBack) {
  DiffusionFacts facts;
  facts.scaling_factor = 0.5;
  facts.shift_factor = 1;
  LatentParameters parameters;
  parameters.mean = Tensor::from_floats({1, 1, 1, 3}, std::vector<float>{1, 2, 3});
  const Tensor drawn = draw_latents(parameters, {}, facts);
  EXPECT_THAT(drawn.as<float>(), ElementsAre(0, 0.5, 1));
  EXPECT_THAT(unscaled(drawn, facts).as<float>(), ElementsAre(1, 2, 3));
  // exp(100 / 2) is not taken: the logarithm is clamped to 20.
  parameters.logvar = Tensor::from_floats({1, 1, 1, 3}, std::vector<float>{0, 100, -100});
  const Tensor noisy = draw_latents(parameters, std::vector<float>{2, 0, 1}, facts);
  EXPECT_THAT(noisy.as<float>(), ElementsAre(1, 0.5, testing::FloatEq(1)));
  EXPECT_THROW(draw_latents(parameters, std::vector<float>{2}, facts), Error);
}

TEST(Latents, ShrinkMasksToTheUpperLeft) {
  const Tensor mask = Tensor::from_floats({1, 1, 2, 4}, std::vector<float>{1, 0, 0, 1, 0, 0, 1, 1});
  EXPECT_THAT(shrink_mask(mask, 2).as<float>(), ElementsAre(1, 0));
}

TEST(Latents, JoinAndPart) {
  const Tensor a = Tensor::from_floats({2, 1, 1, 1}, std::vector<float>{1, 2});
  const Tensor b = Tensor::from_floats({2, 2, 1, 1}, std::vector<float>{3, 4, 5, 6});
  EXPECT_THAT(join_channels(a, b).as<float>(), ElementsAre(1, 3, 4, 2, 5, 6));
  EXPECT_THAT(repeated(a, 2).as<float>(), ElementsAre(1, 2, 1, 2));
  EXPECT_THAT(batch_slice(b, 1, 1).as<float>(), ElementsAre(5, 6));
  const LatentParameters parts = split_parameters(b);
  EXPECT_THAT(parts.mean.as<float>(), ElementsAre(3, 5));
  EXPECT_THAT(parts.logvar->as<float>(), ElementsAre(4, 6));
}

TEST(Tiling, KeepsQuartersWhole) {
  DiffusionFacts facts;
  facts.tile_size = 100;
  EXPECT_EQ(tiling_of(facts).latent_size, 12);
  EXPECT_EQ(tiling_of(facts).sample_size, 96);
  facts.tile_size = 1;
  EXPECT_EQ(tiling_of(facts).latent_size, 4);
  EXPECT_TRUE(needs_tiles({1, 4, 5, 4}, tiling_of(facts)));
  EXPECT_FALSE(needs_tiles({1, 4, 4, 4}, tiling_of(facts)));
}

TEST(Preview, FitsALinearMap) {
  Tensor latents(DType::f32, {2, 4, 3, 5});
  TorchGenerator(1).randn(latents.as<float>());
  const LatentRgb truth = {
      {0.3F, 0.1F, 0}, {0, -0.2F, 0.1F}, {0.1F, 0, 0}, {0, 0, 0.4F}, {0.1F, -0.1F, 0}};
  Tensor images(DType::f32, {2, 3, 6, 10});
  for (std::int64_t i = 0; i < images.count(); ++i) {
    const std::int64_t x = i % 10 / 2;
    const std::int64_t y = i / 10 % 6 / 2;
    const auto c = static_cast<std::size_t>(i / 60 % 3);
    const std::int64_t n = i / 180;
    float value = truth[4][c];
    for (std::int64_t k = 0; k < 4; ++k) {
      value += truth[static_cast<std::size_t>(k)][c] *
               latents.as<float>()[static_cast<std::size_t>(((n * 4 + k) * 3 + y) * 5 + x)];
    }
    images.as<float>()[static_cast<std::size_t>(i)] = value;
  }
  const LatentRgb fitted = fit_latent_rgb(latents, images);
  ASSERT_EQ(fitted.size(), 5U);
  for (std::size_t k = 0; k < 5; ++k) {
    // The colours are rounded to float32, and 30 of them fix five unknowns.
    for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(fitted[k][c], truth[k][c], 1e-5);
  }
  const auto pictures = linear_preview(latents, fitted);
  ASSERT_EQ(pictures.size(), 2U);
  EXPECT_EQ(pictures[0].width(), 5);
  EXPECT_EQ(pictures[0].height(), 3);
  EXPECT_THROW(linear_preview(latents, LatentRgb(3)), Error);
  EXPECT_THROW(fit_latent_rgb(latents, Tensor(DType::f32, {2, 3, 7, 10})), Error);
}

TEST(Parameters, GoOutAndIn) {
  ImageParameters parameters;
  parameters.prompt = "a cat,\nin two lines";
  parameters.steps = 20;
  parameters.scheduler = "dpmpp_2m:karras";
  parameters.guidance = 7.5;
  parameters.seed = 18446744073709551615U;
  parameters.width = 512;
  parameters.height = 768;
  EXPECT_EQ(to_text(parameters),
            "a cat,\nin two lines\nSteps: 20, Sampler: dpmpp_2m:karras, CFG scale: 7.5, Seed: "
            "18446744073709551615, Size: 512x768");
  parameters.negative_prompt = "rain";
  parameters.model = "tiny";
  parameters.strength = 0.5;
  parameters.batch_index = 1;
  parameters.clip_skip = 1;
  const auto again = parse_parameters(to_text(parameters));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(to_text(*again), to_text(parameters));
  EXPECT_EQ(again->negative_prompt, "rain");
  EXPECT_EQ(again->prompt, parameters.prompt);
  EXPECT_FALSE(parse_parameters("a cat").has_value());
  EXPECT_FALSE(parse_parameters("").has_value());
}

TEST(Parameters, StandInTheFile) {
  ImageRequest request;
  request.prompt = "ein Hund, 犬";
  request.seeds = {5, 6};
  request.images = 2;
  ImageResult result;
  result.width = 64;
  result.height = 32;
  const auto parameters = image_parameters(request, result, 1, "ddim", "");
  EXPECT_EQ(parameters.seed, 6U);
  EXPECT_FALSE(parameters.batch_index.has_value());
  const auto path = std::filesystem::temp_directory_path() / "tenon_parameters_test.png";
  write_generated(path, image::Image(64, 32, 3), parameters);
  std::vector<image::PngText> texts;
  const std::string bytes = read_file(path);
  image::decode_png(std::as_bytes(std::span(bytes)), &texts);
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(texts[0].keyword, "parameters");
  EXPECT_EQ(texts[0].text, to_text(parameters));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace tenon::pipelines
