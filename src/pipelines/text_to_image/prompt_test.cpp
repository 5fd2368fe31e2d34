// Weights, chunks and padding of prompts.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "pipelines/text_to_image/prompt_encoder.h"
#include "pipelines/text_to_image/prompt_weights.h"

namespace tenon::pipelines {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Parsed {
  const char* prompt;
  std::vector<WeightedText> parts;
};

TEST(PromptWeights, FollowTheConvention) {
  const Parsed cases[] = {
      {"", {{"", 1}}},
      {"normal text", {{"normal text", 1}}},
      {"an (important) word", {{"an ", 1}, {"important", 1.1}, {" word", 1}}},
      {"(unbalanced", {{"unbalanced", 1.1}}},
      {"((word))", {{"word", 1.1 * 1.1}}},
      {"[word]", {{"word", 1 / 1.1}}},
      {"\\(literal\\]", {{"(literal]", 1}}},
      {"(unnecessary)(parens)", {{"unnecessaryparens", 1.1}}},
      {"(word:1.3)", {{"word", 1.3}}},
      {"(word : +1.3 )", {{"word ", 1.3}}},
      {"(a (b:2))", {{"a ", 1.1}, {"b", 2 * 1.1}}},
      {"a:1.3)", {{"a:1.3)", 1}}},
      {"(a:b)", {{"a:b", 1.1}}},
      {"16:9 :)", {{"16:9 :)", 1}}},
      {"a ) b ]", {{"a ) b ]", 1}}},
      {"(:1.5)x", {{"x", 1}}},
      {"(a:0)b", {{"a", 0}, {"b", 1}}},
      {"\\\\(x)", {{"\\", 1}, {"x", 1.1}}},
      {"c:\\dir", {{"c:\\dir", 1}}},
  };
  for (const auto& test : cases) {
    const auto parts = parse_prompt_weights(test.prompt);
    ASSERT_EQ(parts.size(), test.parts.size()) << test.prompt;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      EXPECT_EQ(parts[i].text, test.parts[i].text) << test.prompt;
      // The same products in another order: an ulp or two.
      EXPECT_NEAR(parts[i].weight, test.parts[i].weight, 1e-15) << test.prompt;
    }
  }
}

TEST(PromptWeights, RefuseTheAbsurd) {
  EXPECT_THROW(parse_prompt_weights(std::string(2000, '(')), Error);
  EXPECT_THROW(parse_prompt_weights("(a:1e9)"), Error);
  EXPECT_THROW(parse_prompt_weights("(a:-1)"), Error);
  EXPECT_EQ(parse_prompt_weights("(" + std::string(1 << 20, ':')).size(), 1U);
}

// Letters a to z are 1 to 26, bos 30, eos 31; one token a letter.
class Letters final : public text::Tokenizer {
 public:
  explicit Letters(std::optional<std::int32_t> pad) {
    roles_.bos = 30;
    roles_.eos = 31;
    roles_.pad = pad;
  }
  std::vector<std::int32_t> encode(std::string_view text,
                                   const text::EncodeOptions&) const override {
    std::vector<std::int32_t> ids;
    for (const char c : text) {
      if (c >= 'a' && c <= 'z') ids.push_back(c - 'a' + 1);
    }
    return ids;
  }
  std::unique_ptr<text::Decoding> start_decoding(bool) const override {
    class Spelling final : public text::Decoding {
      void push(std::int32_t id, std::string& out) override {
        out += static_cast<char>('a' + id - 1);
      }
      void finish(std::string&) override {}
    };
    return std::make_unique<Spelling>();
  }
  std::int32_t vocabulary_size() const override { return 32; }
  std::optional<std::int32_t> token_id(std::string_view) const override { return {}; }
  std::string token(std::int32_t) const override { return {}; }
  bool is_special(std::int32_t id) const override { return id >= 30; }
};

TEST(TokenizePrompt, PadsWithThePadTokenOrTheEnd) {
  std::vector<std::string> notes;
  const auto first = tokenize_prompt(Letters(std::nullopt), "ab", 6, {}, "prompt", notes);
  EXPECT_THAT(first.chunks, ElementsAre(std::vector<std::int32_t>{30, 1, 2, 31, 31, 31}));
  const auto second = tokenize_prompt(Letters(0), "ab", 6, {}, "prompt", notes);
  EXPECT_THAT(second.chunks, ElementsAre(std::vector<std::int32_t>{30, 1, 2, 31, 0, 0}));
  EXPECT_TRUE(notes.empty());
}

TEST(TokenizePrompt, CutsLongPromptsIntoChunks) {
  std::vector<std::string> notes;
  const auto tokens = tokenize_prompt(Letters(0), "abcde", 4, {}, "prompt", notes);
  EXPECT_THAT(tokens.chunks, ElementsAre(std::vector<std::int32_t>{30, 1, 2, 31},
                                         std::vector<std::int32_t>{30, 3, 4, 31},
                                         std::vector<std::int32_t>{30, 5, 31, 0}));
  EXPECT_THAT(notes, ElementsAre(HasSubstr("5 tokens and goes through the text encoder in 3")));
  notes.clear();
  EXPECT_EQ(tokenize_prompt(Letters(0), "abcd", 4, {}, "prompt", notes).chunks.size(), 2U);
  notes.clear();
  PromptOptions cut;
  cut.chunks = false;
  EXPECT_EQ(tokenize_prompt(Letters(0), "abcde", 4, cut, "prompt", notes).chunks.size(), 1U);
  EXPECT_THAT(notes, ElementsAre("the prompt has 5 tokens, 2 fit; cut off: \"cde\""));
}

TEST(TokenizePrompt, WeighsTokens) {
  std::vector<std::string> notes;
  const auto tokens = tokenize_prompt(Letters(0), "a(bc:1.5)", 6, {}, "prompt", notes);
  EXPECT_THAT(tokens.weights, ElementsAre(std::vector<float>{1, 1, 1.5F, 1.5F, 1, 1}));
  EXPECT_TRUE(tokens.weighted);
  PromptOptions plain;
  plain.weights = false;
  EXPECT_FALSE(tokenize_prompt(Letters(0), "a(b)", 6, plain, "prompt", notes).weighted);
  EXPECT_FALSE(tokenize_prompt(Letters(0), "a()", 6, {}, "prompt", notes).weighted);
}

// States: token id + 0.5 in the first of two channels, 1 in the second.
class Encoder final : public DiffusionModels {
 public:
  Encoder() {
    facts_.text_length = 4;
    facts_.text_width = 2;
  }
  const DiffusionFacts& facts() const override { return facts_; }
  Tensor encode_text(const Tensor& ids, std::int64_t clip_skip) override {
    skips.push_back(clip_skip);
    Tensor out(DType::f32, {1, 4, 2});
    for (std::size_t i = 0; i < 4; ++i) {
      out.as<float>()[2 * i] = static_cast<float>(ids.as<std::int64_t>()[i]) + 0.5F;
      out.as<float>()[2 * i + 1] = bad ? NAN : 1;
    }
    return out;
  }
  Tensor predict_noise(const Tensor&, double, const Tensor&, const Tensor*) override { return {}; }
  Tensor decode(const Tensor&) override { return {}; }
  LatentParameters encode(const Tensor&) override { return {}; }
  Tensor decode_preview(const Tensor&) override { return {}; }
  std::vector<std::int64_t> skips;
  bool bad = false;

 private:
  DiffusionFacts facts_;
};

TEST(EncodePrompts, FillsTheShorterOneUp) {
  Encoder encoder;
  std::vector<std::string> notes;
  PromptOptions options;
  options.clip_skip = 2;
  const auto states = encode_prompts(encoder, Letters(0), "abcde", "z", true, options, notes);
  EXPECT_EQ(states.positive.shape(), (Shape{1, 12, 2}));
  EXPECT_EQ(states.negative.shape(), (Shape{1, 12, 2}));
  EXPECT_EQ(states.negative.as<float>()[8], 30.5F);   // the begin of an empty chunk
  EXPECT_EQ(states.negative.as<float>()[10], 31.5F);  // its end
  EXPECT_THAT(encoder.skips, ElementsAre(2, 2, 2, 0, 0, 0));
  EXPECT_EQ(encode_prompts(encoder, Letters(0), "a", "z", false, options, notes).negative.shape(),
            Shape{});
}

TEST(EncodePrompts, RestoresTheMean) {
  Encoder encoder;
  std::vector<std::string> notes;
  const auto plain = encode_prompts(encoder, Letters(0), "ab", "", false, {}, notes).positive;
  const auto states = encode_prompts(encoder, Letters(0), "(a:2)b", "", false, {}, notes).positive;
  // States 30.5 1 | 1.5 1 | 2.5 1 | 31.5 1 sum to 70; the second doubled they sum to 72.5.
  const float factor = 70.0F / 72.5F;
  EXPECT_FLOAT_EQ(states.as<float>()[2], 1.5F * 2 * factor);
  EXPECT_FLOAT_EQ(states.as<float>()[4], 2.5F * factor);
  double before = 0;
  double after = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    before += plain.as<float>()[i];
    after += states.as<float>()[i];
  }
  EXPECT_NEAR(before, after, 8 * 32 * 6e-8);  // each of eight values up to 32 is rounded once
}

TEST(EncodePrompts, NamesStatesThatAreNotNumbers) {
  Encoder encoder;
  encoder.bad = true;
  std::vector<std::string> notes;
  try {
    encode_prompts(encoder, Letters(0), "ab", "", false, {}, notes);
    FAIL() << "NaN passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::check_failed);
    EXPECT_THAT(error.what(), HasSubstr("text_encoder: the states of the prompt: 4 of 8"));
  }
}

}  // namespace
}  // namespace tenon::pipelines
