// Sequences begin, go on, end and are forgotten, on a clock of their own.
#include "serving/tensors/sequence_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::serving {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const TimePoint kStart{};
constexpr std::uint64_t kId = 42;

std::string refusal(SequenceBook& book, const SequenceId& id, bool start) {
  try {
    book.enter(id, start, false, "model", kStart);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(SequenceBook, WantsAnIdAndAStart) {
  SequenceBook book(milliseconds(10));
  EXPECT_THAT(refusal(book, std::uint64_t{0}, true), HasSubstr("non-zero or non-empty"));
  EXPECT_THAT(refusal(book, std::string(), true), HasSubstr("correlation ID"));
  EXPECT_THAT(refusal(book, kId, false), HasSubstr("must specify the START flag"));
  EXPECT_EQ(refusal(book, kId, true), "");
  EXPECT_THAT(refusal(book, std::string("42"), false), HasSubstr("START"));  // another id
  EXPECT_EQ(refusal(book, kId, false), "");
}

TEST(SequenceBook, EndsOnceItsRequestsAreAnswered) {
  SequenceBook book(milliseconds(10));
  const auto one = book.enter(kId, true, false, "model", kStart);
  EXPECT_EQ(book.enter(kId, false, true, "model", kStart), one);
  EXPECT_THAT(refusal(book, kId, false), HasSubstr("START"));
  book.leave(one, kStart);
  EXPECT_THAT(book.collect(kStart), IsEmpty());
  book.leave(one, kStart);
  EXPECT_THAT(book.collect(kStart), ElementsAre(one));
  EXPECT_THAT(book.collect(kStart), IsEmpty());
  EXPECT_EQ(book.size(), 0U);
}

TEST(SequenceBook, AStartReplacesASequenceOfTheSameId) {
  SequenceBook book(milliseconds(10));
  const auto one = book.enter(kId, true, false, "model", kStart);
  const auto two = book.enter(kId, true, false, "model", kStart);
  EXPECT_NE(one, two);
  EXPECT_EQ(book.enter(kId, false, false, "model", kStart), two);
  book.leave(one, kStart);
  EXPECT_THAT(book.collect(kStart), ElementsAre(one));
}

TEST(SequenceBook, ForgetsIdleOnesOnTime) {
  SequenceBook book(milliseconds(10));
  const auto one = book.enter(kId, true, false, "model", kStart);
  EXPECT_FALSE(book.next());  // its request runs
  book.leave(one, kStart + milliseconds(5));
  ASSERT_TRUE(book.next());
  EXPECT_EQ(*book.next(), kStart + milliseconds(15));
  EXPECT_THAT(book.collect(kStart + milliseconds(14)), IsEmpty());
  EXPECT_THAT(book.collect(kStart + milliseconds(15)), ElementsAre(one));
  EXPECT_THAT(refusal(book, kId, false), HasSubstr("START"));
  EXPECT_FALSE(book.next());
}

}  // namespace
}  // namespace tenon::serving
