// Texts that match and texts that do not, as recorded by tests/grammar/record.py from the packages
// jsonschema and re; and random walks by masks, with the tokenizers of the demo models.
#include <random>

#include <gtest/gtest.h>

#include "base/json.h"
#include "text/grammar/test_support.h"
#include "text/streaming.h"

namespace tenon::text::grammar {
namespace {

const nlohmann::ordered_json& cases() {
  static const auto recorded =
      nlohmann::ordered_json::parse(inflate(TENON_SOURCE_DIR "/tests/grammar/cases.json.gz"));
  return recorded;
}

bool matches(const Constraint& constraint, const std::string& text) {
  Matcher matcher(constraint);
  return matcher.accept_text(text) && matcher.is_complete();
}

TEST(GrammarOracle, JsonSchemas) {
  for (const auto& recorded : cases()["schemas"]) {
    const Constraint constraint(json_schema_grammar(recorded["schema"].dump()), byte_tokens());
    for (const std::string text : recorded["valid"]) {
      EXPECT_TRUE(matches(constraint, text)) << recorded["name"] << ": " << text;
    }
    for (const std::string text : recorded["invalid"]) {
      EXPECT_FALSE(matches(constraint, text)) << recorded["name"] << ": " << text;
    }
  }
}

TEST(GrammarOracle, RegularExpressions) {
  for (const auto& recorded : cases()["regexes"]) {
    const std::string pattern = recorded["pattern"];
    const Constraint constraint(regex_grammar(pattern), byte_tokens());
    for (const auto& [text, verdict] : recorded["texts"].items()) {
      EXPECT_EQ(matches(constraint, text), verdict == 1) << pattern << " on " << text;
    }
  }
}

class Walks : public ::testing::TestWithParam<const char*> {
 protected:
  Walks()
      : tokenizer_(load_tokenizer(std::filesystem::path(TENON_SOURCE_DIR "/demo") / GetParam())),
        tokens_(std::make_shared<const TokenTrie>(*tokenizer_)) {}

  std::unique_ptr<Tokenizer> tokenizer_;
  std::shared_ptr<const TokenTrie> tokens_;
};

// Every token that the mask lets through leads on, and what it leads to is a matching text, with
// the tokenizer's own decoder as the judge of what the tokens spell.
TEST_P(Walks, EndInMatchingTexts) {
  std::mt19937 random(7);
  for (const auto& recorded : cases()["schemas"]) {
    const std::string schema = recorded["schema"].dump();
    const Constraint constraint(json_schema_grammar(schema), tokens_);
    const Constraint bytes(json_schema_grammar(schema), byte_tokens());
    int ended = 0;
    for (int walk = 0; walk < 12; ++walk) {
      Matcher matcher(constraint);
      std::vector<std::int32_t> ids;
      while (!matcher.is_finished() && ids.size() < 400) {
        const std::vector<int> choices = allowed(matcher, *tokens_);
        if (choices.empty()) {
          ASSERT_TRUE(matcher.is_complete()) << schema;
          break;
        }
        if (matcher.is_complete() && random() % 4 == 0) break;
        ids.push_back(choices[random() % choices.size()]);
        ASSERT_TRUE(matcher.accept(ids.back()));
      }
      const std::string text = tokenizer_->decode(ids);
      Matcher reader(bytes);
      EXPECT_TRUE(reader.accept_text(text) || text.find("\xef\xbf\xbd") != std::string::npos)
          << text;
      if (!matcher.is_complete()) continue;
      ++ended;
      EXPECT_TRUE(matches(bytes, text)) << text;
      EXPECT_TRUE(Json::accept(text)) << text;
    }
    EXPECT_GT(ended, 0) << schema;
  }
}

// The way that the tokenizer itself writes a valid document is one that the masks allow.
TEST_P(Walks, AllowTheTokensOfValidTexts) {
  for (const auto& recorded : cases()["schemas"]) {
    const Constraint constraint(json_schema_grammar(recorded["schema"].dump()), tokens_);
    for (const std::string text : recorded["valid"]) {
      Matcher matcher(constraint);
      for (const std::int32_t id : tokenizer_->encode(text, {false, false})) {
        const auto mask = matcher.mask();
        const auto place = static_cast<std::size_t>(id);
        const bool fits = (mask[place / 64] >> (place % 64) & 1) != 0;
        EXPECT_TRUE(fits) << text << " at " << tokenizer_->token(id);
        if (!matcher.accept(id)) break;
      }
      EXPECT_TRUE(matcher.is_complete()) << text;
    }
  }
}

// A mask is what single tokens say, one after the other.
TEST_P(Walks, MasksAgreeWithSingleTokens) {
  std::mt19937 random(3);
  for (const auto& recorded : cases()["schemas"]) {
    const Constraint constraint(json_schema_grammar(recorded["schema"].dump()), tokens_);
    Matcher matcher(constraint);
    for (int step = 0; step < 10; ++step) {
      const std::vector<int> choices = allowed(matcher, *tokens_);
      std::vector<int> single;
      for (std::size_t id = 0; id < tokens_->size(); ++id) {
        Matcher copy = matcher;
        if (copy.accept(static_cast<std::int32_t>(id))) single.push_back(static_cast<int>(id));
      }
      ASSERT_EQ(choices, single);
      if (choices.empty()) break;
      matcher.accept(choices[random() % choices.size()]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Demo, Walks, ::testing::Values("llama-verse", "neox-instruct"),
                         [](const auto& demo) {
                           std::string name = demo.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace tenon::text::grammar
