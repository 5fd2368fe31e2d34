// The distribution that is drawn from, against transformers, and the draws against the
// distribution.
#include "pipelines/text_generation/sampler.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/mapped_file.h"
#include "pipelines/text_generation/probabilities.h"
#include "pipelines/text_generation/processors.h"
#include "pipelines/text_generation/toy_decoder.h"

namespace tenon::pipelines {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Processors, GiveTheDistributionsOfTransformers) {
  const Json record = Json::parse(read_file(TENON_SOURCE_DIR "/tests/generation/processors.json"));
  const auto prompt = record["prompts"][2].get<std::vector<std::int32_t>>();
  ASSERT_GE(record["cases"].size(), 200U);
  for (const Json& test : record["cases"]) {
    const Json& settings = record["models"][test["model"].get<std::size_t>()];
    const ToyModel model{settings["seed"], settings["vocab_size"], settings["spread"]};
    std::vector<std::int32_t> ids = prompt;
    for (const std::int32_t id : test["generated"]) ids.push_back(id);
    std::vector<float> scores(static_cast<std::size_t>(model.vocabulary));
    model.scores(static_cast<std::uint32_t>(ids[ids.size() - 2]),
                 static_cast<std::uint32_t>(ids.back()), scores);
    for (float& score : scores) score -= model.spread / 2;

    const GenerationConfig config = GenerationConfig::from_json(test["config"]);
    const auto prompt_length = static_cast<std::int64_t>(prompt.size());
    const History history{ids, prompt_length, prompt_length + 9};
    const auto ends = static_cast<std::int64_t>(config.eos_token_ids.size());
    process_scores(config, history, config.num_beams > 1 ? ends + 1 : 1, scores);
    std::vector<double> expected(scores.size());
    for (const Json& entry : test["probabilities"]) expected[entry[0]] = entry[1];
    const std::vector<double> probabilities = softmax(scores);
    for (std::size_t id = 0; id < expected.size(); ++id) {
      EXPECT_NEAR(probabilities[id], expected[id], 1e-6) << "id " << id << " " << test["config"];
    }
  }
}

TEST(Processors, PresenceAndFrequencyAreOpenAis) {
  GenerationConfig config;
  config.presence_penalty = 0.5;
  config.frequency_penalty = 0.25;
  const std::vector<std::int32_t> ids = {1, 1, 2, 3, 3, 3};
  std::vector<float> scores(5, 1.0F);
  apply_processors(config, {ids, 2, 10}, scores);
  // The prompt (1, 1) does not count; 2 came once, 3 three times.
  EXPECT_THAT(scores, ::testing::ElementsAre(1, 1, 0.25F, -0.25F, 1));
}

TEST(Processors, AddLogitBias) {
  GenerationConfig config;
  config.logit_bias = {{0, -100.0}, {3, 1.5}};
  std::vector<float> scores(4, 1.0F);
  const std::vector<std::int32_t> ids = {1};
  apply_processors(config, {ids, 1, 10}, scores);
  EXPECT_THAT(scores, ::testing::ElementsAre(-99, 1, 1, 2.5F));
}

/// Chi-square of counts against probabilities, and the number of categories.
std::pair<double, int> chi_square(const std::vector<int>& counts,
                                  const std::vector<double>& probabilities, int draws) {
  double sum = 0;
  int categories = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (probabilities[i] <= 0) {
      EXPECT_EQ(counts[i], 0);
      continue;
    }
    const double expected = probabilities[i] * draws;
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    ++categories;
  }
  return {sum, categories};
}

/// The 0.999 quantile of the chi-square distribution, by Wilson and Hilferty.
double limit_of(int categories) {
  const double k = categories - 1;
  const double z = 3.0902;
  return k * std::pow(1 - 2 / (9 * k) + z * std::sqrt(2 / (9 * k)), 3);
}

TEST(Sampler, DrawsInTheProportionsOfTheDistribution) {
  std::vector<float> scores(24);
  ToyModel{5, 24, 4}.scores(1, 2, scores);
  scores[3] = scores[17] = -kInfinity;
  const std::vector<double> probabilities = softmax(scores);
  constexpr int kDraws = 100'000;
  // Along positions, along sequences and along seeds the numbers must be independent.
  for (const int axis : {0, 1, 2}) {
    std::vector<int> counts(scores.size());
    for (int i = 0; i < kDraws; ++i) {
      const auto n = static_cast<std::uint64_t>(i);
      const RandomNumbers numbers(axis == 2 ? n : 42);
      ++counts[static_cast<std::size_t>(
          draw(scores, numbers.uniform(axis == 1 ? n : 0, axis == 0 ? n : 0)))];
    }
    const auto [statistic, categories] = chi_square(counts, probabilities, kDraws);
    EXPECT_EQ(categories, 22);
    EXPECT_LT(statistic, limit_of(categories)) << "axis " << axis;
  }
}

TEST(Sampler, DrawsWithoutReplacementInTheOrderOfTheDraws) {
  const std::vector<float> scores = {std::log(0.5F), std::log(0.3F), std::log(0.2F), -kInfinity};
  const RandomNumbers numbers(9);
  constexpr int kDraws = 60'000;
  std::vector<int> counts(9);
  for (int i = 0; i < kDraws; ++i) {
    const auto pair = draw_without_replacement(scores, 2, numbers, static_cast<std::uint64_t>(i));
    ASSERT_EQ(pair.size(), 2U);
    ++counts[static_cast<std::size_t>(pair[0] * 3 + pair[1])];
  }
  const double p[] = {0.5, 0.3, 0.2};
  std::vector<double> expected(9);
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t b = 0; b < 3; ++b) {
      if (a != b) expected[a * 3 + b] = p[a] * p[b] / (1 - p[a]);
    }
  }
  const auto [statistic, categories] = chi_square(counts, expected, kDraws);
  EXPECT_LT(statistic, limit_of(categories));
  EXPECT_EQ(draw_without_replacement(scores, 4, numbers, 0).back(),
            3);  // the impossible comes last
}

TEST(Sampler, KeepsToTheEdges) {
  const std::vector<float> scores = {-kInfinity, 0, -kInfinity, 0, -kInfinity};
  EXPECT_EQ(draw(scores, 0), 1);
  EXPECT_EQ(draw(scores, 0.499), 1);
  EXPECT_EQ(draw(scores, 0.501), 3);
  EXPECT_EQ(draw(scores, 1 - 0x1p-53), 3);
}

TEST(Sampler, NumbersAreFixedForever) {
  // Seeds that users wrote down must keep their meaning.
  const RandomNumbers numbers(42);
  const std::uint64_t first = numbers.bits(0, 0);
  EXPECT_EQ(first, RandomNumbers(42).bits(0, 0));
  EXPECT_NE(first, numbers.bits(0, 1));
  EXPECT_NE(first, numbers.bits(1, 0));
  EXPECT_NE(first, RandomNumbers(43).bits(0, 0));
  EXPECT_EQ(first, 0xC16129ECD0DC5B93U);
}

TEST(Probabilities, PicksTheBestAndTheFirstOfEquals) {
  const std::vector<float> scores = {1, 3, 2, 3, -kInfinity};
  EXPECT_EQ(argmax(scores), 1);
  EXPECT_THAT(top_indices(scores, 3), ::testing::ElementsAre(1, 3, 2));
  EXPECT_THAT(top_indices(scores, 9), ::testing::ElementsAre(1, 3, 2, 0, 4));
  EXPECT_THAT(top_indices(scores, 0), ::testing::IsEmpty());
}

}  // namespace
}  // namespace tenon::pipelines
