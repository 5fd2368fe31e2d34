// Matchers over small vocabularies: masks, ends, forced text, copies, refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/grammar/constraint.h"
#include "text/grammar/test_support.h"

namespace tenon::text::grammar {
namespace {

using ::testing::HasSubstr;

TEST(Matcher, AllowsExactlyTheTokensThatFit) {
  const auto tokens = tokens_of({"a", "b", "ab", "abc", "c", "bc", ""});
  Matcher matcher(Constraint(parse_grammar(R"(root ::= "a" ("b" "c"?)?)"), tokens));
  EXPECT_EQ(allowed(matcher, *tokens), (std::vector<int>{0, 2, 3}));
  EXPECT_FALSE(matcher.is_complete());
  EXPECT_TRUE(matcher.accept(0));
  EXPECT_TRUE(matcher.is_complete());
  EXPECT_EQ(allowed(matcher, *tokens), (std::vector<int>{1, 5}));
  Matcher copy = matcher;
  EXPECT_TRUE(copy.accept(5));
  EXPECT_TRUE(copy.is_finished());
  EXPECT_TRUE(allowed(copy, *tokens).empty());
  EXPECT_FALSE(copy.accept(0));
  EXPECT_FALSE(copy.is_alive());
  EXPECT_EQ(allowed(matcher, *tokens), (std::vector<int>{1, 5})) << "copies are independent";
}

TEST(Matcher, ReadsTokensThatLeaveSeveralRules) {
  const auto tokens = tokens_of({"(", ")", "))", "()", "())", "x"});
  const Constraint constraint(parse_grammar("root ::= \"(\" root? \")\""), tokens);
  Matcher matcher(constraint);
  EXPECT_EQ(allowed(matcher, *tokens), (std::vector<int>{0, 3}));
  matcher.accept(0);
  EXPECT_EQ(allowed(matcher, *tokens), (std::vector<int>{0, 1, 3, 4}));
  matcher.accept(0);
  EXPECT_EQ(allowed(matcher, *tokens), (std::vector<int>{0, 1, 2, 3, 4}));
  matcher.accept(2);
  EXPECT_TRUE(matcher.is_finished());
}

TEST(Matcher, StripsTheSpaceThatTheTokenizerStrips) {
  const auto tokens = std::make_shared<const TokenTrie>(
      std::vector<std::string>{" red", "red", " ", "r", "e", "d", " r"}, true);
  Matcher matcher(Constraint(choice_grammar({"red"}), tokens));
  EXPECT_EQ(allowed(matcher, *tokens), (std::vector<int>{0, 1, 2, 3, 6}));
  EXPECT_TRUE(matcher.accept(0));
  EXPECT_TRUE(matcher.is_finished());
}

TEST(Matcher, FindsForcedText) {
  const Constraint constraint(choice_grammar({"über alles", "über uns"}), byte_tokens());
  Matcher matcher(constraint);
  EXPECT_EQ(matcher.forced_text(), "über ");
  EXPECT_TRUE(matcher.accept_text("über a"));
  EXPECT_EQ(matcher.forced_text(), "lles");
  EXPECT_TRUE(matcher.accept_text("lles"));
  EXPECT_EQ(matcher.forced_text(), "");
}

TEST(Matcher, RemovesScoresAndLetsEndsOnlyWhereTheTextMayEnd) {
  const auto tokens = tokens_of({"a", "b", ""});
  Matcher matcher(Constraint(regex_grammar("a+"), tokens));
  const std::vector<std::int32_t> ends = {2};
  std::vector<float> scores(5, 1);
  matcher.apply(ends, scores);
  EXPECT_EQ(scores[0], 1);
  for (const std::size_t id : {1, 2, 3, 4}) EXPECT_TRUE(std::isinf(scores[id])) << id;
  matcher.accept(0);
  scores.assign(5, 1);
  matcher.apply(ends, scores);
  EXPECT_EQ(scores[0], 1);
  EXPECT_EQ(scores[2], 1);
}

TEST(Matcher, StaysInBoundsOnLongTexts) {
  const Constraint constraint(json_object_grammar(), byte_tokens());
  Matcher matcher(constraint);
  ASSERT_TRUE(matcher.accept_text("{\"a\":"));
  for (int i = 0; i < 20000; ++i) ASSERT_TRUE(matcher.accept_text("["));
  matcher.mask();
  for (int i = 0; i < 20000; ++i) ASSERT_TRUE(matcher.accept_text("]"));
  ASSERT_TRUE(matcher.accept_text("}"));
  EXPECT_TRUE(matcher.is_finished());
}

TEST(Constraint, RefusesWhatItCannotFollow) {
  const auto error = [](const char* source) {
    return error_of([&] { Constraint(parse_grammar(source), byte_tokens()); });
  };
  EXPECT_THAT(error("root ::= root \"a\" | \"b\""), HasSubstr("begins with itself"));
  EXPECT_THAT(error("root ::= x? y\nx ::= \"q\"\ny ::= x? root | \"z\""),
              HasSubstr("begins with itself"));
  EXPECT_THAT(error("root ::= \"a\" root"), HasSubstr("no text matches"));
  EXPECT_THAT(error("root ::= ((((\"a\"{9999}){9999}){9999}){9999}){9999} b\nb ::= \"b\" | c"),
              HasSubstr("not defined"));
  EXPECT_THAT(error_of([] { Constraint(regex_grammar("(a|b)*a(a|b){40}"), byte_tokens()); }),
              HasSubstr("states"));
  EXPECT_THAT(error_of([] {
                Constraint(choice_grammar({"b"}), tokens_of({"a", "c"}));
              }),
              HasSubstr("no text matches"));
}

TEST(Constraint, RefusesGrammarsOfManyReadings) {
  std::string source = "root ::= r0\n";
  for (int i = 0; i < 40; ++i) {
    source += fmt::format("r{0} ::= r{1} \"a\" | s{1} \"b\"\ns{0} ::= r{1} \"c\" | s{1} \"d\"\n", i,
                          i + 1);
  }
  source += "r40 ::= \"x\"\ns40 ::= \"x\"\n";
  EXPECT_THAT(error_of([&] { Constraint(parse_grammar(source), byte_tokens()); }),
              HasSubstr("ways"));
}

TEST(ParseGrammar, NamesThePlaceOfAMistake) {
  const auto error = [](const std::string& source) {
    return error_of([&] { parse_grammar(source); });
  };
  EXPECT_THAT(error("root ::= \"a"), HasSubstr("line 1, column 12: a literal is not closed"));
  EXPECT_THAT(error("root ::= [z-a]"), HasSubstr("out of order"));
  EXPECT_THAT(error("root ::= *"), HasSubstr("was expected"));
  EXPECT_THAT(error("a ::= \"b\""), HasSubstr("no rule \"root\""));
  EXPECT_THAT(error("root ::= " + std::string(60000, '(')), HasSubstr("nest deeper"));
  EXPECT_THAT(error("root ::= \"a\"{5,2}"), HasSubstr("out of order"));
}

TEST(ParseGrammar, ReadsTheWholeDialect) {
  const Constraint constraint(parse_grammar(R"(# a list
root ::= item ("," item){0,2}
  | "none" # rules run over lines
item ::= [a-c]+ | [^\x00-\x7f] | "\u00e9\n" "!"?
)"),
                              byte_tokens());
  for (const char* text : {"a", "abc,b,c", "none", "ü,ü", "é\n!"}) {
    Matcher matcher(constraint);
    EXPECT_TRUE(matcher.accept_text(text)) << text;
    EXPECT_TRUE(matcher.is_complete()) << text;
  }
  for (const char* text : {"a,b,c,d", "d", "\xff"}) {
    EXPECT_FALSE(Matcher(constraint).accept_text(text)) << text;
  }
}

TEST(JsonSchema, NamesWhatItDoesNotSupport) {
  const auto error = [](const char* schema) {
    return error_of([&] { json_schema_grammar(schema); });
  };
  EXPECT_THAT(error(R"({"properties": {"a": {"not": {}}}})"),
              HasSubstr("#/properties/a: keyword \"not\" is not supported"));
  EXPECT_THAT(error(R"({"type": "string", "format": "color"})"), HasSubstr("\"color\""));
  EXPECT_THAT(error(R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})"),
              HasSubstr("may match both 0 and 1"));
  EXPECT_THAT(error(R"({"$ref": "#/$defs/x"})"), HasSubstr("not in the schema"));
  EXPECT_THAT(error(R"({"type": "array", "uniqueItems": true})"), HasSubstr("uniqueItems"));
  EXPECT_THAT(error(R"({"type": "integer", "minimum": 5, "maximum": 4})"), HasSubstr("bounds"));
  EXPECT_THAT(error(R"({"type": "string", "pattern": "(?=a)b"})"), HasSubstr("(?:...)"));
  EXPECT_THAT(error("{"), HasSubstr("not valid JSON"));
}

}  // namespace
}  // namespace tenon::text::grammar
