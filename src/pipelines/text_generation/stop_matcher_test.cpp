// Stop strings over text that is cut in every way.
#include "pipelines/text_generation/stop_matcher.h"

#include <gtest/gtest.h>

namespace tenon::pipelines {
namespace {

TEST(StopMatcher, FindsTheFirstStopHoweverTheTextIsCut) {
  const std::string text = "say aab and aaab, then END or EN again";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    StopMatcher matcher({"END", "aaab"});
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += piece) out += matcher.push(text.substr(i, piece));
    out += matcher.finish();
    EXPECT_TRUE(matcher.matched());
    EXPECT_EQ(out, "say aab and ") << piece;
  }
}

TEST(StopMatcher, ReleasesWhatDidNotBecomeAStop) {
  StopMatcher matcher({"\n\nUser:"});
  EXPECT_EQ(matcher.push("Hi\n"), "Hi");
  EXPECT_EQ(matcher.push("\n"), "");
  EXPECT_EQ(matcher.push("there\n"), "\n\nthere");
  EXPECT_EQ(matcher.push("\n"), "");
  EXPECT_EQ(matcher.finish(), "\n\n");
  EXPECT_FALSE(matcher.matched());
}

TEST(StopMatcher, HoldsNothingWithoutStops) {
  StopMatcher matcher;
  EXPECT_EQ(matcher.push("abc"), "abc");
  EXPECT_EQ(matcher.finish(), "");
}

}  // namespace
}  // namespace tenon::pipelines
