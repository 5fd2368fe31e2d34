// The random numbers against recordings of torch.
#include "pipelines/text_to_image/torch_random.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"

namespace tenon::pipelines {
namespace {

Json record() { return Json::parse(read_file(TENON_SOURCE_DIR "/tests/schedulers/random.json")); }

template <typename Value>
std::vector<double> drawn(TorchGenerator& generator, bool normal, std::size_t size) {
  std::vector<Value> values(size);
  if (normal) {
    generator.randn(std::span<Value>(values));
  } else {
    generator.rand(std::span<Value>(values));
  }
  std::vector<double> result;
  for (const Value& value : values) {
    if constexpr (std::is_same_v<Value, double>) {
      result.push_back(value);
    } else {
      result.push_back(static_cast<double>(static_cast<float>(value)));
    }
  }
  return result;
}

std::vector<double> drawn(TorchGenerator& generator, const Json& test) {
  const bool normal = test["kind"] == "randn";
  const auto size = test["size"].get<std::size_t>();
  const auto type = test["dtype"].get<std::string>();
  if (type == "float32") return drawn<float>(generator, normal, size);
  if (type == "float64") return drawn<double>(generator, normal, size);
  if (type == "float16") return drawn<Float16>(generator, normal, size);
  return drawn<BFloat16>(generator, normal, size);
}

/// What libm may differ by, relative: float32 in blocks and uniform numbers need none of it. Normal
/// float64 values are a product of sqrt(log) and a sine, each within an ulp of libm's (torch's
/// vector library: 1 ulp), so 4 * 2^-52; the others round such a double to their own type, which
/// gives the neighbour when it was close to a tie: one unit of the type.
double tolerance(const Json& test) {
  if (test["kind"] == "rand") return 0;
  const auto type = test["dtype"].get<std::string>();
  if (type == "float64") return 0x1p-50;
  if (test["size"].get<int>() >= 16) return 0;
  return type == "float32" ? 0x1p-23 : type == "float16" ? 0x1p-10 : 0x1p-7;
}

TEST(TorchRandom, DrawsTheNumbersOfTorch) {
  const Json recorded = record();
  ASSERT_GE(recorded["cases"].size(), 100U);
  for (const Json& test : recorded["cases"]) {
    TorchGenerator generator(test["seed"].get<std::uint64_t>());
    const std::vector<double> values = drawn(generator, test);
    const double relative = tolerance(test);
    const Json& places = recorded["places"][std::to_string(test["size"].get<int>())];
    for (std::size_t i = 0; i < places.size(); ++i) {
      const double expected = test["values"][i];
      EXPECT_NEAR(values[places[i].get<std::size_t>()], expected, relative * std::fabs(expected))
          << i << " of " << test;
    }
    double sum = 0;
    for (const double value : values) sum += std::nearbyint(value * 1024);
    // A double that differs in its last bit does not cross a tie of these roundings.
    EXPECT_EQ(static_cast<std::int64_t>(sum), test["sum"].get<std::int64_t>()) << test;
    double after = 0;
    generator.rand(std::span(&after, 1));
    EXPECT_EQ(after, test["after"].get<double>()) << test;
  }
}

TEST(TorchRandom, KeepsTheSecondNormalForTheNextCall) {
  const Json recorded = record()["sequence"];
  TorchGenerator generator(recorded["seed"].get<std::uint64_t>());
  for (const Json& expected : recorded["values"]) {
    std::vector<float> values(expected.size());
    generator.randn(std::span<float>(values));
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_FLOAT_EQ(values[i], expected[i].get<float>());
    }
  }
}

TEST(TorchRandom, DrawsIntegers) {
  for (const Json& test : record()["integers"]) {
    TorchGenerator generator(test["seed"].get<std::uint64_t>());
    std::vector<std::int64_t> values(test["values"].size());
    generator.randint(test["low"], test["high"], values);
    EXPECT_EQ(values, test["values"].get<std::vector<std::int64_t>>());
  }
  std::int64_t value = 0;
  EXPECT_THROW(TorchGenerator(1).randint(3, 3, {&value, 1}), Error);
}

TEST(NoiseSource, GivesEveryImageItsOwnGenerator) {
  std::vector<float> both(200);
  NoiseSource({7, 8}).normal(both);
  for (std::size_t i = 0; i < 2; ++i) {
    std::vector<float> alone(100);
    NoiseSource({7 + i}).normal(alone);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), both.begin() + 100 * i)) << i;
  }
  std::vector<float> one(200);
  NoiseSource({7}).normal(one);
  // As far as the last block of 16 of the first image, which ends with it.
  EXPECT_TRUE(std::equal(one.begin(), one.begin() + 84, both.begin()));
  EXPECT_NE(one[150], both[150]);
  EXPECT_THROW(NoiseSource({1, 2, 3}).normal(one), Error);
  EXPECT_THROW(NoiseSource({}), Error);
}

TEST(NoiseSource, RoundsToTheTypeOfThePipeline) {
  std::vector<float> exact(64);
  std::vector<float> rounded(64);
  NoiseSource({3}).normal(exact);
  NoiseSource({3}, NoiseType::float16).normal(rounded);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_EQ(rounded[i], static_cast<float>(Float16(exact[i])));
  }
}

}  // namespace
}  // namespace tenon::pipelines
