#include "traffic/arrivals.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>

#include "base/error.h"

namespace tenon::traffic {
namespace {

using testing::ElementsAre;

TEST(Arrivals, ConstantRate) {
  EXPECT_THAT(arrival_times(Spacing::constant, 4, 4, 0), ElementsAre(0.0, 0.25, 0.5, 0.75));
  EXPECT_EQ(arrival_times_within(Spacing::constant, 10, 2, 1000, 0).size(), 20U);
  EXPECT_EQ(arrival_times_within(Spacing::constant, 10, 2, 7, 0).size(), 7U);
}

// Gaps of mean 1/rate and standard deviation 1/rate: over n gaps the mean is off by 1/(rate
// sqrt(n)); five of those are never seen. The variance of the sample variance of an exponential is
// 8/n in units of 1/rate^4.
TEST(Arrivals, PoissonGapsHaveMeanAndSpreadOfTheRate) {
  constexpr std::size_t kCount = 100000;
  constexpr double kRate = 20;
  const auto times = arrival_times(Spacing::poisson, kRate, kCount, 7);
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  double sum = 0;
  double squares = 0;
  double before = 0;
  for (const double time : times) {
    const double gap = (time - before) * kRate;
    before = time;
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / kCount;
  EXPECT_NEAR(mean, 1, 5 / std::sqrt(kCount));
  EXPECT_NEAR(squares / kCount - mean * mean, 1, 5 * std::sqrt(8.0 / kCount));
}

TEST(Arrivals, PoissonFollowsItsSeed) {
  EXPECT_EQ(arrival_times(Spacing::poisson, 3, 50, 1), arrival_times(Spacing::poisson, 3, 50, 1));
  EXPECT_NE(arrival_times(Spacing::poisson, 3, 50, 1), arrival_times(Spacing::poisson, 3, 50, 2));
  const auto all = arrival_times(Spacing::poisson, 3, 50, 1);
  const auto within = arrival_times_within(Spacing::poisson, 3, all[10], 1000, 1);
  EXPECT_EQ(within, std::vector<double>(all.begin(), all.begin() + 10));
}

TEST(Arrivals, Levels) {
  EXPECT_THAT(parse_levels("1,4,16", "--x"), ElementsAre(1, 4, 16));
  EXPECT_THAT(parse_levels("0.5", "--x"), ElementsAre(0.5));
  EXPECT_THAT(parse_levels("2:6:2", "--x"), ElementsAre(2, 4, 6));
  EXPECT_THAT(parse_levels("2:7:2", "--x"), ElementsAre(2, 4, 6));
  EXPECT_THAT(parse_levels("1:3", "--x"), ElementsAre(1, 2, 3));
  for (const char* wrong :
       {"", "a", "1,,2", "0", "-1", "1:0", "1:2:0", "1:2:3:4", "1:1e6:0.001", "nan", "inf", "1 ,2"})
    EXPECT_THROW(parse_levels(wrong, "--x"), Error) << wrong;
}

}  // namespace
}  // namespace tenon::traffic
