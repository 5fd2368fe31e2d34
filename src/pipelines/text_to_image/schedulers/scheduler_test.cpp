// Every scheduler against recordings of diffusers, step by step, and what is refused.
#include "pipelines/text_to_image/schedulers/scheduler.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mapped_file.h"
#include "pipelines/text_to_image/schedulers/beta_distribution.h"
#include "pipelines/text_to_image/schedulers/brownian_tree.h"
#include "tensor/npy.h"

namespace tenon::pipelines {
namespace {

constexpr const char* kRecords = TENON_SOURCE_DIR "/tests/schedulers/";
constexpr std::size_t kSize = 48;  // of a recorded sample: 2 images of 3 x 2 x 4

/// As in record.py: the model, and the two pictures.
std::vector<float> model(const std::vector<float>& sample, double timestep) {
  const float shift = static_cast<float>(timestep) / 1000.0F * 0.1F;
  std::vector<float> out;
  for (const float x : sample) out.push_back(x * 0.8F / (1.0F + x * x) + x * 0.05F + shift);
  return out;
}

std::vector<float> picture(int factor, int modulus) {
  std::vector<float> values;
  for (int i = 0; i < static_cast<int>(kSize); ++i) {
    values.push_back(static_cast<float>(i * factor % modulus - modulus / 2) /
                     static_cast<float>(modulus / 4));
  }
  return values;
}

std::unique_ptr<Scheduler> scheduler_of(const Json& json, std::string_view name = "") {
  std::vector<std::string> notes;
  return make_scheduler(json, name, notes);
}

double largest_magnitude(std::span<const float> values) {
  double largest = 0;
  for (const float value : values) {
    largest = std::max(largest, std::fabs(static_cast<double>(value)));
  }
  return largest;
}

double largest_difference(std::span<const float> values, std::span<const float> expected) {
  double largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double difference =
        std::fabs(static_cast<double>(values[i]) - static_cast<double>(expected[i]));
    largest = std::isnan(difference) ? 1e30 : std::max(largest, difference);
  }
  return largest;
}

class Replay {
 public:
  Replay() : samples_(read_npy(std::string(kRecords) + "samples.npy")) {}

  /// The largest error of the samples of one case, relative to the largest value of the sample,
  /// beyond what rounding brings from larger samples before.
  double run(const Json& test) {
    const auto seeds = test["seeds"].get<std::vector<std::uint64_t>>();
    const auto scheduler = scheduler_of(test["config"], test["name"].get<std::string>());
    scheduler->set_timesteps({test["steps"], test["strength"], 2, test["eta"]});
    check_timesteps(test, *scheduler);

    at_ = test["at"].get<std::size_t>();
    worst_ = 0;
    largest_ = 0;
    NoiseSource noise(seeds);
    std::vector<float> noisy(kSize);
    scheduler->add_noise(original_, draw_, 0, noisy);
    compare(noisy);
    std::vector<float> sample = noisy;
    if (test["strength"] == 1.0) {
      sample = draw_;
      for (float& value : sample) value *= scheduler->init_noise_sigma();
      largest_ = largest_magnitude(sample);
    }
    const std::size_t count = scheduler->timesteps().size();
    if (count > 1) {
      scheduler->add_noise(original_, draw_, 1, noisy);
      compare(noisy);
    }
    const auto kept = test["kept"].get<std::vector<std::size_t>>();
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<float> input = sample;
      scheduler->scale_model_input(input, i);
      scheduler->step(model(input, scheduler->timesteps()[i]), i, sample, noise);
      if (std::find(kept.begin(), kept.end(), i) != kept.end()) compare(sample);
    }
    return worst_;
  }

 private:
  void check_timesteps(const Json& test, const Scheduler& scheduler) {
    const auto expected = test["timesteps"].get<std::vector<double>>();
    EXPECT_EQ(scheduler.integer_timesteps(), test["integer"].get<bool>()) << test;
    ASSERT_EQ(scheduler.timesteps().size(), expected.size()) << test;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      // Integers are equal; real ones come from logarithms of float32, whose last bit (2^-22 near
      // log 14.6) moves a timestep by at most 2^-22 over the smallest distance of two logarithms.
      EXPECT_NEAR(scheduler.timesteps()[i], expected[i], scheduler.integer_timesteps() ? 0 : 2e-3)
          << i << " of " << test;
    }
    const auto sigma = test["init_noise_sigma"].get<double>();
    EXPECT_NEAR(static_cast<double>(scheduler.init_noise_sigma()) / sigma, 1, 1e-6) << test;
  }

  void compare(std::span<const float> values) {
    const std::span<const float> expected = samples_.as<float>().subspan(at_, kSize);
    // A sample of magnitude m keeps the errors of its step when noise falls away and it becomes
    // small: four operations (the slope's two, its product and the sum) round by m * 2^-24 each.
    largest_ = std::max(largest_, largest_magnitude(expected));
    const double rounding = largest_ * 0x1p-22;
    const double error = std::max(0.0, largest_difference(values, expected) - rounding);
    worst_ = std::max(worst_, error / largest_magnitude(expected));
    at_ += kSize;
  }

  Tensor samples_;
  std::vector<float> original_ = picture(37, 101);
  std::vector<float> draw_ = picture(53, 97);
  std::size_t at_ = 0;
  double worst_ = 0;
  double largest_ = 0;
};

/// Times of the Brownian motion are rounded to 1e-6, and torch's vector functions and libm differ
/// in the last bit of a sigma: where that crosses a tie, an interval differs by 1e-6 at either end
/// and its increment by a deviation of sqrt(2e-6) = 1.4e-3. A step multiplies it by at most sqrt(2
/// sigma), and a sample at that level has values of about 2 sigma, or 1: 2e-3 relative, four
/// deviations.
constexpr double kTimeTolerance = 8e-3;
constexpr double kTolerance = 1e-5;

TEST(Schedulers, FollowDiffusersStepByStep) {
  const Json cases = Json::parse(read_file(std::string(kRecords) + "cases.json"));
  ASSERT_GE(cases.size(), 500U);
  Replay replay;
  int equal_motions = 0;
  for (const Json& test : cases) {
    const double error = replay.run(test);
    const bool brownian = test["class"] == "DPMSolverSDEScheduler";
    EXPECT_LE(error, brownian ? kTimeTolerance : kTolerance)
        << test["class"] << " " << test["name"] << " steps " << test["steps"] << " "
        << test["config"];
    if (brownian && test["steps"].get<int>() > 1 && error <= kTolerance) ++equal_motions;
  }
  // Where no tie is crossed the motion is the same.
  EXPECT_GE(equal_motions, 10);
}

TEST(Schedulers, BrownianTreeIsTorchsdes) {
  const Json record = Json::parse(read_file(std::string(kRecords) + "random.json"));
  for (const Json& test : record["brownian"]) {
    const BrownianTree tree(test["start"], test["end"], test["seed"].get<std::uint64_t>(), 20);
    for (std::size_t i = 0; i < test["times"].size(); ++i) {
      const std::vector<float> values = tree.increment(test["times"][i][0], test["times"][i][1]);
      const auto expected = test["values"][i].get<std::vector<float>>();
      // The same float32 operations on the same normal numbers.
      EXPECT_EQ(values, expected) << test["times"][i];
    }
  }
}

TEST(Schedulers, BetaQuantilesAreScipys) {
  const std::pair<double, double> quantiles[] = {
      {1e-6, 1.8558824624053043e-10}, {0.02, 0.002732982024577027},
      {0.25, 0.17568037865269498},    {0.5, 0.5},
      {0.75, 0.824319621347305},      {0.98, 0.9972670179754229},
      {0.999999, 0.9999999998144118}};
  for (const auto& [probability, expected] : quantiles) {
    EXPECT_NEAR(beta_quantile(probability, 0.6, 0.6) / expected, 1, 1e-12) << probability;
  }
  EXPECT_NEAR(beta_quantile(0.3, 2, 5), 0.18180347131894917, 1e-13);
  EXPECT_EQ(beta_quantile(0, 0.6, 0.6), 0);
  EXPECT_EQ(beta_quantile(1, 0.6, 0.6), 1);
}

TEST(Schedulers, BeginAnewWithSetTimesteps) {
  for (const std::string_view name : scheduler_names()) {
    const auto scheduler = scheduler_of({{"beta_end", 0.012}, {"noise_sampler_seed", 3}}, name);
    const auto run = [&](std::int64_t steps, std::size_t stop) {
      scheduler->set_timesteps({.steps = steps, .images = 2});
      NoiseSource noise({5});
      std::vector<float> sample = picture(53, 97);
      const std::size_t count = std::min(stop, scheduler->timesteps().size());
      for (std::size_t i = 0; i < count; ++i) {
        std::vector<float> input = sample;
        scheduler->scale_model_input(input, i);
        scheduler->step(model(input, scheduler->timesteps()[i]), i, sample, noise);
      }
      return sample;
    };
    const std::vector<float> first = run(6, 99);
    run(9, 4);  // cancelled on its way
    EXPECT_EQ(run(6, 99), first) << name;
  }
}

/// The message of the Error that `body` throws.
template <typename Body>
std::string refusal(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(Schedulers, RefuseByName) {
  using ::testing::HasSubstr;
  const auto of_class = [](const char* name, Json fields) {
    fields["_class_name"] = name;
    return refusal([&] { scheduler_of(fields); });
  };
  EXPECT_THAT(
      of_class("DEISMultistepScheduler", {}),
      ::testing::AllOf(HasSubstr("DEISMultistepScheduler"), HasSubstr("UniPCMultistepScheduler")));
  EXPECT_THAT(refusal([] { scheduler_of(Json::object(), "eulre"); }),
              ::testing::AllOf(HasSubstr("eulre"), HasSubstr("euler_a")));
  EXPECT_THAT(refusal([] { scheduler_of(Json::object(), "ddim:karras"); }), HasSubstr("ddim"));
  EXPECT_THAT(refusal([] { scheduler_of(Json::array(), "ddim"); }), HasSubstr("array"));
  const char* euler = "EulerDiscreteScheduler";
  EXPECT_THAT(of_class(euler, {{"beta_schedule", "cosine"}}),
              ::testing::AllOf(HasSubstr("cosine"), HasSubstr("scaled_linear")));
  EXPECT_THAT(of_class(euler, {{"beta_schedule", "exp"}}), HasSubstr("HeunDiscreteScheduler"));
  EXPECT_THAT(of_class(euler, {{"prediction_type", "flow"}}), HasSubstr("v_prediction"));
  EXPECT_THAT(of_class(euler, {{"num_train_timesteps", 1e12}}), HasSubstr("num_train_timesteps"));
  EXPECT_THAT(of_class(euler, {{"num_train_timesteps", 1}}), HasSubstr("2 to 100000"));
  EXPECT_THAT(of_class(euler, {{"beta_end", 1.5}}), HasSubstr("beta_end"));
  EXPECT_THAT(of_class(euler, {{"beta_start", 0}, {"beta_end", 0}}), HasSubstr("beta_start"));
  EXPECT_THAT(of_class(euler, {{"trained_betas", {0.1, "x"}}}), HasSubstr("trained_betas"));
  EXPECT_THAT(of_class(euler, {{"trained_betas", {0.1, 0.2}}}), HasSubstr("2 values"));
  EXPECT_THAT(of_class(euler, {{"use_karras_sigmas", true}, {"use_beta_sigmas", true}}),
              HasSubstr("one at most"));
  EXPECT_THAT(of_class("DDPMScheduler", {{"variance_type", "learned"}}), HasSubstr("learned"));
  EXPECT_THAT(of_class("UniPCMultistepScheduler", {{"use_flow_sigmas", true}}), HasSubstr("flow"));
  EXPECT_THAT(of_class("UniPCMultistepScheduler", {{"solver_order", 9}}), HasSubstr("1 to 3"));
  EXPECT_THAT(of_class("DPMSolverMultistepScheduler", {{"algorithm_type", "dpmsolver"}}),
              HasSubstr("sigma_min"));
  EXPECT_THAT(of_class("PNDMScheduler", {{"prediction_type", "sample"}}), HasSubstr("epsilon"));
}

TEST(Schedulers, RefuseRequestsThatCannotBeMeant) {
  using ::testing::HasSubstr;
  const auto request = [](std::string_view name, ScheduleRequest wanted) {
    return refusal([&] { scheduler_of(Json::object(), name)->set_timesteps(wanted); });
  };
  EXPECT_THAT(request("euler", {.steps = 0}), HasSubstr("1 to 1000"));
  EXPECT_THAT(request("euler", {.steps = 1001}), HasSubstr("1001"));
  EXPECT_THAT(request("euler", {.strength = 0}), HasSubstr("strength"));
  EXPECT_THAT(request("euler", {.steps = 5, .strength = 0.1}), HasSubstr("none of 5"));
  EXPECT_THAT(request("ddim", {.eta = 2}), HasSubstr("eta"));
  EXPECT_THAT(request("pndm", {.steps = 3}), HasSubstr("skip_prk_steps"));
  EXPECT_THAT(request("lcm", {.steps = 51}), HasSubstr("original_inference_steps"));

  const auto euler = scheduler_of(Json::object(), "euler");
  euler->set_timesteps({.steps = 3});
  std::vector<float> sample(8);
  NoiseSource noise({1});
  EXPECT_THAT(refusal([&] { euler->step(sample, 1, sample, noise); }), HasSubstr("in order"));
  const std::vector<float> short_output(7);
  EXPECT_THAT(refusal([&] { euler->step(short_output, 0, sample, noise); }), HasSubstr("7 values"));
  const auto ddim = scheduler_of({{"steps_offset", 5}}, "ddim");
  ddim->set_timesteps({.steps = 1000});
  EXPECT_THAT(refusal([&] { ddim->step(sample, 0, sample, noise); }), HasSubstr("steps_offset"));
}

TEST(Schedulers, ReadWhatPythonWrites) {
  const Json json = parse_python_json(
      R"({"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity,
          "note": "say \"NaN\"", "use_magic": true, "skip_prk_steps": true})",
      "scheduler_config.json");
  EXPECT_EQ(json["note"], "say \"NaN\"");
  std::vector<std::string> notes;
  EXPECT_NE(make_scheduler(json, "", notes), nullptr);
  // skip_prk_steps is another scheduler's, and no surprise.
  EXPECT_THAT(notes, ::testing::UnorderedElementsAre(::testing::HasSubstr("use_magic"),
                                                     ::testing::HasSubstr("note")));
}

}  // namespace
}  // namespace tenon::pipelines
