// Metrics, budgets and recordings by themselves.
#include <cmath>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "verify/budget.h"
#include "verify/metrics.h"
#include "verify/recording.h"
#include "verify/source_values.h"
#include "verify/trace.h"

namespace tenon::verify {
namespace {

Tensor rows(std::int64_t tokens, std::vector<float> values) {
  const auto width = static_cast<std::int64_t>(values.size()) / tokens;
  return Tensor::from_floats({tokens, width}, values);
}

TEST(Metrics, OfTwoKnownDistributions) {
  // softmax: (1/4, 3/4) and (1/2, 1/2); the second position is equal.
  const auto third = static_cast<float>(std::log(3.0));
  const Tensor a = rows(2, {0, third, 1, 0});
  const Tensor b = rows(2, {0, 0, 1, 0});
  Accumulator accumulated;
  const std::vector<std::int32_t> ids = {0, 1};
  accumulated.add(a.view(), b.view(), ids);
  const Metrics metrics = accumulated.result();
  const double kl = 0.25 * std::log(0.5) + 0.75 * std::log(1.5);
  EXPECT_NEAR(metrics.mean_kl, kl / 2, 1e-7);
  EXPECT_NEAR(metrics.max_kl, kl, 1e-7);
  EXPECT_NEAR(metrics.max_abs, std::log(3.0), 1e-7);
  EXPECT_NEAR(metrics.mean_abs, std::log(3.0) / 4, 1e-7);
  EXPECT_NEAR(metrics.perplexity_a, 4.0 / 3, 1e-6);
  EXPECT_NEAR(metrics.perplexity_b, 2.0, 1e-6);
  EXPECT_EQ(metrics.top1_disagreements, 1);
  EXPECT_EQ(metrics.first_diverging_prompt, 0);
  EXPECT_EQ(metrics.first_diverging_position, 0);
  EXPECT_TRUE(metrics.finite);
  ASSERT_EQ(accumulated.kl_series().size(), 2U);
  EXPECT_EQ(accumulated.kl_series()[1], 0.0F);
}

TEST(Metrics, NanOnEitherSideIsNotFinite) {
  for (const float bad : {NAN, INFINITY}) {
    const Tensor a = rows(2, {0, 1, 0, 1});
    const Tensor b = rows(2, {0, 1, bad, 1});
    Accumulator accumulated;
    accumulated.add(a.view(), b.view(), {});
    EXPECT_FALSE(accumulated.result().finite);
    EXPECT_TRUE(std::isinf(accumulated.result().mean_kl));
    EXPECT_EQ(accumulated.result().first_diverging_position, 1);
    EXPECT_FALSE(Budget().violations(accumulated.result()).empty());
  }
}

TEST(Metrics, UnequalShapesAreRefused) {
  Accumulator accumulated;
  EXPECT_THROW(accumulated.add(rows(1, {0, 1}).view(), rows(2, {0, 1}).view(), {}), Error);
}

TEST(Budget, ReadsWhatItPrints) {
  const Budget budget = Budget::parse("kl=1e-3,top1=0.99,max_abs=0.5,ppl=0.01,rel=2e-2,max_kl=1");
  EXPECT_EQ(budget.mean_kl, 1e-3);
  EXPECT_EQ(budget.top1, 0.99);
  EXPECT_EQ(Budget::parse(budget.to_string()).to_string(), budget.to_string());
  EXPECT_EQ(Budget::parse("").to_string(), "");
}

TEST(Budget, RefusesWhatCannotBeMeant) {
  for (const char* text : {"kl", "kl=", "kl=x", "kl=-1", "kl=nan", "kl=1e999", "top1=1.5",
                           "speed=3", "kl=1,kl=2", "kl=1,,top1=1", "=1", "kl=1x"}) {
    EXPECT_THROW(Budget::parse(text), Error) << text;
  }
}

TEST(Budget, SaysEachLimitThatIsBroken) {
  Metrics metrics;
  metrics.positions = 100;
  metrics.top1_disagreements = 2;
  metrics.top1_agreement = 0.98;
  metrics.mean_kl = 0.5;
  metrics.perplexity_a = 10;
  metrics.perplexity_b = 9;
  EXPECT_TRUE(Budget::parse("kl=0.5,top1=0.98,ppl=0.11").violations(metrics).empty());
  EXPECT_EQ(Budget::parse("kl=0.4,top1=0.99,ppl=0.09").violations(metrics).size(), 3U);
}

TEST(Budget, OnePositionMayBeTheShareThatIsLeft) {
  Metrics metrics;
  metrics.positions = 10;
  metrics.top1_disagreements = 1;
  EXPECT_TRUE(Budget::parse("top1=0.99").violations(metrics).empty());
  EXPECT_FALSE(Budget::parse("top1=1").violations(metrics).empty());
}

TEST(Trace, MeasuresDifferencesAndWhereTheyAre) {
  const Tensor a = rows(2, {3, 4, 0, 0});
  const Tensor b = rows(2, {3, 4, 0, 1});
  ValueError error;
  measure(a.view(), b.view(), error);
  EXPECT_DOUBLE_EQ(error.relative, 0.2);
  EXPECT_DOUBLE_EQ(error.max_difference, 1);
  EXPECT_EQ(error.where, 3);
  EXPECT_DOUBLE_EQ(error.peak, 1 / 2.5);
  EXPECT_EQ(coordinates(error.where, error.shape), (std::vector<std::int64_t>{1, 1}));
}

TEST(Trace, CountsNanWhereTheOtherSideHasANumber) {
  const Tensor a = rows(1, {1, -INFINITY, NAN, 2});
  const Tensor b = rows(1, {1, -INFINITY, NAN, NAN});
  ValueError error;
  measure(a.view(), b.view(), error);
  EXPECT_EQ(error.not_finite, 1);
  EXPECT_EQ(error.nan_in_both, 1);
  EXPECT_EQ(error.relative, 0);
}

TEST(Trace, MasksDoNotHideTheErrorsBesideThem) {
  const Tensor a = rows(1, {3, 4, -3e38F, -65504});
  const Tensor b = rows(1, {3, 5, -3e38F, -65504});
  ValueError error;
  measure(a.view(), b.view(), error);
  EXPECT_DOUBLE_EQ(error.relative, 0.2);
}

// A chain of three steps whose values have the given relative errors.
std::optional<std::size_t> departure(std::vector<double> errors) {
  engine::Engine engine;
  std::vector<ValueError> values;
  for (int i = 0; i <= 3; ++i)
    engine.values.push_back({"v" + std::to_string(i), DType::f32, {Dim(4)}, -1});
  for (int i = 0; i < 3; ++i) {
    engine::Step step;
    step.kernels = {{"kernel", 1}};
    step.inputs = {i};
    step.outputs = {i + 1};
    engine.steps.push_back(step);
    ValueError error;
    error.value = "v" + std::to_string(i + 1);
    error.relative = errors[static_cast<std::size_t>(i)];
    values.push_back(error);
  }
  return find_departure(engine, values);
}

TEST(Trace, TheFirstErrorThatItsInputsDoNotExplainDeparts) {
  EXPECT_EQ(departure({1e-7, 1e-6, 5e-6}), std::nullopt);
  EXPECT_EQ(departure({1e-7, 1e-2, 0.5}), 1U);
  EXPECT_EQ(departure({1e-5, 9e-5, 0.5}), 2U);
}

TEST(SourceValues, MarkedOnesAreTurnedBack) {
  EXPECT_EQ(source_name("conv_out"), "conv_out");
  EXPECT_EQ(source_name("conv_out@channels_last"), "conv_out");
  // Two pixels of three channels.
  const Tensor last = Tensor::from_floats({1, 1, 2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const Tensor first = in_source_order("conv_out@channels_last", last.view());
  EXPECT_EQ(first.shape(), (Shape{1, 3, 1, 2}));
  EXPECT_THAT(first.as<float>(), testing::ElementsAre(1, 4, 2, 5, 3, 6));
  const Tensor same = in_source_order("conv_out", last.view());
  EXPECT_EQ(same.shape(), last.shape());
}

class Recordings : public testing::Test {
 protected:
  // Stored members only: what numpy.savez writes.
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / fmt::format("tenon-{}.npz", ::getpid());
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::filesystem::path path_;
};

TEST_F(Recordings, WhatIsNoArchiveIsRefused) {
  std::ofstream(path_) << "not a zip";
  EXPECT_THROW(read_recording(path_, 64), Error);
  EXPECT_THROW(read_recording("/nonexistent.npz", 64), Error);
}

TEST(Recording, ATinyOneIsCutIntoPrompts) {
  const auto path =
      std::filesystem::path(TENON_SOURCE_DIR) / "tests" / "models" / "llama-gqa" / "expected.npz";
  const auto prompts = read_recording(path, 64);
  ASSERT_EQ(prompts.size(), 5U);
  EXPECT_EQ(prompts[0].ids.size(), 11U);
  EXPECT_EQ(prompts[0].hidden.size(), 2U);
  EXPECT_FALSE(prompts[1].padded());
  EXPECT_TRUE(prompts[4].padded());
  EXPECT_EQ(prompts[4].logits.shape(), (Shape{2, 64}));
  EXPECT_THROW(read_recording(path, 63), Error);  // logits have another vocabulary
}

}  // namespace
}  // namespace tenon::verify
