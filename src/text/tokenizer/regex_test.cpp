// Patterns against the reference's classes of characters, and the rules of finding matches.
#include "text/tokenizer/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/tokenizer/test_support.h"
#include "text/tokenizer/utf8.h"
#include "text/unicode/tables.h"

namespace tenon::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string all_points() {
  std::string text;
  for (char32_t point = 0; point < 0x110000; ++point) {
    if (point < 0xd800 || point >= 0xe000) append_utf8(text, point);
  }
  return text;
}

// Code points on which the pattern and the predicate disagree.
template <typename Member>
std::size_t disagreements(std::string_view pattern, Member member) {
  static const std::string kText = all_points();
  std::vector<bool> matched(0x110000);
  for (const Span& span : Pattern::regex(pattern).find_all(kText)) {
    std::size_t at = span.begin;
    matched[next_point(kText, at)] = true;
  }
  std::size_t count = 0;
  for (char32_t point = 0; point < 0x110000; ++point) {
    if (point == 0xd800) point = 0xe000;
    if (matched[point] != member(point)) ++count;
  }
  return count;
}

bool letter(char32_t point) {
  const Category category = classify(point).category();
  return category >= Category::Lu && category <= Category::Lo;
}
bool number(char32_t point) {
  const Category category = classify(point).category();
  return category >= Category::Nd && category <= Category::No;
}

TEST(Regex, ClassesAreThoseOfTheReference) {
  EXPECT_EQ(disagreements(R"(\p{L})", letter), 0U);
  EXPECT_EQ(disagreements(R"(\P{L})", [](char32_t c) { return !letter(c); }), 0U);
  EXPECT_EQ(disagreements(R"(\p{^N})", [](char32_t c) { return !number(c); }), 0U);
  EXPECT_EQ(disagreements(R"([^\s\p{L}\p{N}])",
                          [](char32_t c) { return !is_space(c) && !letter(c) && !number(c); }),
            0U);
  EXPECT_EQ(disagreements(R"([\P{L}])", [](char32_t c) { return !letter(c); }), 0U);
  EXPECT_EQ(disagreements(R"([^\S\n])", [](char32_t c) { return is_space(c) && c != '\n'; }), 0U);
  EXPECT_EQ(disagreements(R"(\w)", [](char32_t c) { return classify(c).regex_word(); }), 0U);
  const auto bracket_word = [](char32_t c) {
    return classify(c).regex_word() && classify(c).category() != Category::No;
  };
  EXPECT_EQ(disagreements(R"([\W])", [&](char32_t c) { return !bracket_word(c); }), 0U);
  EXPECT_EQ(disagreements(R"([\w])", bracket_word), 0U);
  EXPECT_EQ(disagreements(R"(\W)", [](char32_t c) { return !classify(c).regex_word(); }), 0U);
  EXPECT_EQ(
      disagreements(R"(\d)", [](char32_t c) { return classify(c).category() == Category::Nd; }),
      0U);
  EXPECT_EQ(
      disagreements(R"(\p{Lu})", [](char32_t c) { return classify(c).category() == Category::Lu; }),
      0U);
  EXPECT_EQ(disagreements(R"([\p{M}\p{Cn}])",
                          [](char32_t c) {
                            const Category known = classify(c).category();
                            return known == Category::Cn ||
                                   (known >= Category::Mn && known <= Category::Me);
                          }),
            0U);
}

TEST(Regex, FindsLeftToRight) {
  const auto find = [](std::string_view pattern, std::string_view text) {
    return Pattern::regex(pattern).find_all(text);
  };
  EXPECT_THAT(find("a+|b", "aabca"), ElementsAre(Span{0, 2}, Span{2, 3}, Span{4, 5}));
  EXPECT_THAT(find("x*", "axb"), ElementsAre(Span{0, 0}, Span{1, 2}, Span{3, 3}));
  EXPECT_THAT(find(R"(\s+(?!\S)|\s+)", "a   b"), ElementsAre(Span{1, 3}, Span{3, 4}));
  EXPECT_THAT(find("(?i:'s)", "'S'ſ"), ElementsAre(Span{0, 2}, Span{2, 5}));
  EXPECT_THAT(find("a{1,2}+", "aaaaa"), ElementsAre(Span{0, 5}));  // not possessive here
  EXPECT_THAT(find("(?:ab){,2}c", "ababc"), ElementsAre(Span{0, 5}));
  EXPECT_THAT(find("^b$", "a\nb\nc"), ElementsAre(Span{2, 3}));
  EXPECT_THAT(find(R"([\x{41}-\x43\u0044])", "ABCDE").size(), 4);
  EXPECT_TRUE(Pattern::literal("").find_all("abc").empty());
  EXPECT_THAT(Pattern::literal("aa").find_all("aaa"), ElementsAre(Span{0, 2}));
}

TEST(Regex, SearchesBehindTheFirstWindow) {
  const std::string text = std::string(9000, 'x') + "y" + std::string(9000, 'x');
  EXPECT_THAT(Pattern::regex("y").find_all(text), ElementsAre(Span{9000, 9001}));
  std::string wide;
  for (int i = 0; i < 3000; ++i) wide += "\xe2\x82\xac";  // windows end inside this character
  EXPECT_THAT(Pattern::regex("b").find_all(wide + "b"), ElementsAre(Span{9000, 9001}));
}

TEST(Utf8, ReplacesAsPythonDoes) {
  EXPECT_EQ(replace_invalid_utf8("a\xff"
                                 "b"),
            "a\xef\xbf\xbd"
            "b");
  const std::string mark(kReplacement);
  EXPECT_EQ(replace_invalid_utf8("\xf0\x9f\x98"), mark);                // one part of a character
  EXPECT_EQ(replace_invalid_utf8("\xed\xa0\x80"), mark + mark + mark);  // a surrogate
  EXPECT_EQ(replace_invalid_utf8("\xc0\xaf"), mark + mark);
  EXPECT_EQ(replace_invalid_utf8("\xe2\x82"
                                 "A"),
            mark + "A");
  std::string pending = "\xf0\x9f";
  std::string out;
  drain_utf8(pending, out);
  EXPECT_EQ(out, "");
  pending += "\x98\x80!";
  drain_utf8(pending, out);
  EXPECT_EQ(out, "\xf0\x9f\x98\x80!");
}

}  // namespace
}  // namespace tenon::text
