#include "tensor/dim.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon {
namespace {

const Dim kBatch = Dim::symbol("batch");
const Dim kPast = Dim::symbol("past");
const Dim kNew = Dim::symbol("new");

TEST(Dim, EqualPolynomialsAreEqual) {
  EXPECT_EQ((kPast + kNew) * Dim(2) - kNew, kPast * Dim(2) + kNew);
  EXPECT_EQ(kBatch * kNew, kNew * kBatch);
  EXPECT_EQ((kBatch - kBatch).constant(), 0);
  EXPECT_FALSE((kBatch - kNew).constant());
}

TEST(Dim, DividesWhereItMust) {
  EXPECT_EQ((kBatch * kNew * Dim(64)).divided_by(kNew * Dim(8)), kBatch * Dim(8));
  EXPECT_FALSE((kBatch * Dim(3)).divided_by(Dim(2)));
  EXPECT_EQ(Dim::floor_div(kBatch * Dim(4) + Dim(3), Dim(2)), kBatch * Dim(2) + Dim(1));
  const Dim half = Dim::floor_div(kNew + Dim(1), Dim(2));
  EXPECT_EQ(half.evaluate({{"new", 8}}), 4);
  EXPECT_EQ(half.evaluate({{"new", 9}}), 5);
  EXPECT_EQ(Dim::floor_div(kNew - Dim(5), Dim(3)).evaluate({{"new", 3}}), -1);
}

TEST(Dim, QuotientsOfQuotientsAreOne) {
  Dim halved = kNew;  // as three windows of stride 2 leave it
  for (int i = 0; i < 3; ++i) halved = Dim::floor_div(halved + Dim(1), Dim(2));
  EXPECT_EQ(halved.to_string(), "floor(new + 7 / 8)");
  EXPECT_EQ(Dim::parse(halved.to_string()), halved);
  for (std::int64_t size = 1; size < 40; ++size) {
    std::int64_t expected = size;
    for (int i = 0; i < 3; ++i) expected = (expected + 1) / 2;
    EXPECT_EQ(halved.evaluate({{"new", size}}), expected) << size;
  }
  const Dim mixed = Dim::floor_div(Dim::floor_div(kNew, Dim(3)) + Dim(5), Dim(2));
  const Dim apart = Dim::floor_div(Dim::floor_div(kNew, Dim(3)) + kPast, Dim(2));
  for (std::int64_t size = 0; size < 20; ++size) {
    EXPECT_EQ(mixed.evaluate({{"new", size}}), (size / 3 + 5) / 2) << size;
    EXPECT_EQ(apart.evaluate({{"new", size}, {"past", 4}}), (size / 3 + 4) / 2) << size;
  }
}

TEST(Dim, TextIsReadBack) {
  const Dim dims[] = {Dim(0),
                      Dim(-7),
                      kPast + kNew,
                      kBatch * Dim(3) - Dim(1),
                      Dim::floor_div(kNew * kBatch + Dim(2), Dim(3)) * kPast,
                      Dim::max(kNew, kPast + Dim(1)),
                      Dim::floor_div(Dim::min(kNew, Dim(9)), kPast)};
  for (const Dim& dim : dims) EXPECT_EQ(Dim::parse(dim.to_string()), dim) << dim.to_string();
  EXPECT_EQ(Dim::parse("past_sequence_length + sequence_length")->to_string(),
            "past_sequence_length + sequence_length");
  for (const char* text : {"", "a b", "a +", "3x(", "max(a)", "floor(a / 0)", "?"}) {
    EXPECT_FALSE(Dim::parse(text)) << text;
  }
  EXPECT_FALSE(Dim::parse(std::string(100000, '(')));
}

TEST(Dim, SubstitutesInsideAtoms) {
  const Dim dim = Dim::max(kNew, kPast) + Dim::floor_div(kNew, Dim(2));
  EXPECT_EQ(dim.substitute({{"new", Dim(6)}, {"past", Dim(0)}}).constant(), 9);
  EXPECT_EQ(dim.symbols(), (std::vector<std::string>{"new", "past"}));
}

TEST(Dim, UnboundAndOverflowAreNamed) {
  EXPECT_THROW(kNew.evaluate({}), Error);
  EXPECT_THROW((kNew * kNew * kNew).evaluate({{"new", 1LL << 40}}), Error);
}

TEST(Dim, ExpressionsThatGrowWithoutBoundAreRefused) {
  EXPECT_THROW(
      {
        Dim power = kNew;
        for (int i = 0; i < 60; ++i) power = power * power;
      },
      Error);
  EXPECT_THROW(
      {
        Dim sum = kNew + kPast + kBatch + Dim(1);
        for (int i = 0; i < 60; ++i) sum = sum * sum;
      },
      Error);
  EXPECT_THROW(
      {
        Dim nested = kNew;
        for (int i = 0; i < 60; ++i) nested = Dim::max(nested + kPast, nested * Dim(2));
      },
      Error);
}

TEST(Dim, DividesTheLeastNumberByMinusOne) {
  const Dim least = kNew * Dim(INT64_MIN);
  EXPECT_THROW(least.divided_by(Dim(0) - kNew), Error);
  EXPECT_EQ((kNew * Dim(6)).divided_by(Dim(0) - kNew), Dim(-6));
}

}  // namespace
}  // namespace tenon
