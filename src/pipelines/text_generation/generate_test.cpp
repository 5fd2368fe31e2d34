// The generation loop against recorded token ids of transformers, and its own promises.
#include "pipelines/text_generation/generate.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/mapped_file.h"
#include "pipelines/text_generation/toy_decoder.h"

namespace tenon::pipelines {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json recorded(const std::string& name) {
  return Json::parse(read_file(TENON_SOURCE_DIR "/tests/generation/" + name));
}

ToyModel toy(const Json& record, const Json& test) {
  const Json& model = record["models"][test["model"].get<std::size_t>()];
  return {model["seed"], model["vocab_size"], model["spread"]};
}

/// Spells token n as a letter.
class Letters : public TextStream {
 public:
  std::string append(std::int32_t id) override {
    return std::string(1, static_cast<char>('a' + id % 26));
  }
  std::string finish() override { return {}; }
  std::unique_ptr<TextStream> clone() const override { return std::make_unique<Letters>(*this); }
};

std::string spelled(const std::vector<std::int32_t>& ids) {
  std::string text;
  for (const std::int32_t id : ids) text += static_cast<char>('a' + id % 26);
  return text;
}

std::string usage_error(const GenerationConfig& config, std::vector<std::int32_t> prompt = {1}) {
  ToyDecoder decoder({}, 16);
  try {
    generate(decoder, prompt, config);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_EQ(decoder.open_sequences(), 0U);
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

TEST(Generate, GivesTheTokensOfTransformers) {
  const Json record = recorded("generation.json");
  ASSERT_GE(record["cases"].size(), 300U);
  for (const Json& test : record["cases"]) {
    ToyDecoder decoder(toy(record, test));
    const auto prompt =
        record["prompts"][test["prompt"].get<std::size_t>()].get<std::vector<std::int32_t>>();
    const GenerationConfig config = GenerationConfig::from_json(test["config"]);
    const GenerationResult result = generate(decoder, prompt, config);
    EXPECT_EQ(decoder.open_sequences(), 0U);
    ASSERT_EQ(result.sequences.size(), test["ids"].size()) << test["config"];
    for (std::size_t i = 0; i < result.sequences.size(); ++i) {
      EXPECT_EQ(result.sequences[i].ids, test["ids"][i].get<std::vector<std::int32_t>>())
          << "model " << test["model"] << " prompt " << test["prompt"] << " " << test["config"];
      if (test["scores"].is_null()) continue;
      // Sums of up to 64 float log-probabilities, each within an ulp or two of the other side's.
      const double score = test["scores"][i];
      EXPECT_NEAR(result.sequences[i].score, score, 64 * 1.2e-7 * (1 + std::abs(score)));
    }
  }
}

TEST(Generate, ForwardsEachTokenOnce) {
  ToyDecoder decoder({});
  GenerationConfig config;
  config.max_new_tokens = 10;
  const std::vector<std::int32_t> prompt = {1, 2, 3};
  generate(decoder, prompt, config);
  EXPECT_EQ(decoder.forwarded, 3 + 9);  // the last token needs no scores after it
}

TEST(Generate, NamesWhatIsWrongWithPromptAndConfig) {
  GenerationConfig config;
  EXPECT_THAT(usage_error(config, {}), HasSubstr("no tokens"));
  EXPECT_THAT(usage_error(config, {1, 48}), HasSubstr("token 1 of the prompt is 48"));
  EXPECT_THAT(usage_error(config, {-1}), HasSubstr("ids are 0 to 47"));
  EXPECT_THAT(usage_error(config, std::vector<std::int32_t>(16, 1)), HasSubstr("context holds 16"));
  config.num_return_sequences = 2;
  EXPECT_THAT(usage_error(config), HasSubstr("greedy"));
  config.num_beams = 1000;
  EXPECT_THAT(usage_error(config), HasSubstr("num_beams is 1000"));
  config = {};
  config.top_p = 1.5;
  EXPECT_THAT(usage_error(config), HasSubstr("top_p is 1.5, expected 0"));
  config = {};
  config.temperature = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(usage_error(config), HasSubstr("temperature"));
  config = {};
  config.stop_strings = {"x"};
  EXPECT_THAT(usage_error(config), HasSubstr("tokenizer"));
  config = {};
  config.logit_bias = {{99, 1.0}};
  EXPECT_THAT(usage_error(config), HasSubstr("logit_bias holds the id 99"));
  config = {};
  config.max_length = 1;
  EXPECT_THAT(usage_error(config), HasSubstr("max_length is 1"));
  config = {};
  config.num_beams = 20;
  config.eos_token_ids = std::vector<std::int32_t>(60, 0);
  EXPECT_THAT(usage_error(config), HasSubstr("candidates"));
}

TEST(Generate, StopsAtTheContextLength) {
  for (const std::int64_t beams : {1, 3}) {
    ToyDecoder decoder({}, 12);
    GenerationConfig config;
    config.num_beams = beams;
    config.max_new_tokens = 100;
    const GenerationResult result = generate(decoder, std::vector<std::int32_t>{1, 2}, config);
    EXPECT_EQ(result.sequences[0].ids.size(), 10U);
    EXPECT_EQ(result.sequences[0].finish_reason, "length");
    EXPECT_EQ(decoder.open_sequences(), 0U);
  }
}

TEST(Generate, EndsAtStopStringsAndHoldsThemBack) {
  GenerationConfig config;
  config.max_new_tokens = 40;
  ToyDecoder decoder({});
  const std::vector<std::int32_t> prompt = {5};
  const std::string whole = spelled(generate(decoder, prompt, config).sequences[0].ids);
  const std::string stop = whole.substr(7, 3);
  config.stop_strings = {"not in there", stop};
  std::string streamed;
  std::string reason;
  const auto on_token = [&](const TokenEvent& event) {
    streamed += event.text;
    if (event.finish_reason != nullptr) reason = event.finish_reason;
    return true;
  };
  const Letters letters;
  const auto result = generate(decoder, prompt, config, on_token, &letters);
  const std::string expected = whole.substr(0, whole.find(stop));
  EXPECT_EQ(result.sequences[0].text, expected);
  EXPECT_EQ(streamed, expected);
  EXPECT_EQ(reason, "stop");
  EXPECT_EQ(result.sequences[0].finish_reason, "stop");
  EXPECT_EQ(result.sequences[0].ids.size(), expected.size() + stop.size());
}

TEST(Generate, BeamsEndAtStopStringsToo) {
  GenerationConfig config;
  config.max_new_tokens = 30;
  config.num_beams = 3;
  ToyDecoder decoder({});
  const Letters letters;
  const std::vector<std::int32_t> prompt = {5};
  const auto free = generate(decoder, prompt, config, {}, &letters);
  config.stop_strings = {free.sequences[0].text.substr(4, 2)};
  const auto stopped = generate(decoder, prompt, config, {}, &letters);
  EXPECT_EQ(stopped.sequences[0].text.find(config.stop_strings[0]), std::string::npos);
  EXPECT_THAT(stopped.sequences[0].finish_reason, ::testing::AnyOf("stop", "length"));
  EXPECT_EQ(decoder.open_sequences(), 0U);
}

TEST(Generate, EndsAtStopIds) {
  GenerationConfig config;
  config.max_new_tokens = 20;
  ToyDecoder decoder({});
  const auto ids = generate(decoder, std::vector<std::int32_t>{5}, config).sequences[0].ids;
  config.stop_token_ids = {ids[4]};
  const auto result = generate(decoder, std::vector<std::int32_t>{5}, config);
  EXPECT_EQ(result.sequences[0].finish_reason, "stop");
  EXPECT_LE(result.sequences[0].ids.size(), 5U);
  EXPECT_EQ(result.sequences[0].ids.back(), ids[4]);
}

TEST(Generate, StopsWhenTheCallerSaysSo) {
  for (const std::int64_t beams : {1, 4}) {
    ToyDecoder decoder({});
    GenerationConfig config;
    config.num_beams = beams;
    config.max_new_tokens = 40;
    int events = 0;
    const auto result = generate(decoder, std::vector<std::int32_t>{5}, config,
                                 [&](const TokenEvent&) { return ++events < 3; });
    EXPECT_EQ(events, 3);
    EXPECT_EQ(result.sequences[0].ids.size(), 3U);
    EXPECT_EQ(result.sequences[0].finish_reason, "cancelled");
    EXPECT_EQ(decoder.open_sequences(), 0U);
  }
}

TEST(Generate, SamplesTheSameWithTheSameSeedWhateverRunsBeside) {
  GenerationConfig config;
  config.do_sample = true;
  config.max_new_tokens = 30;
  config.seed = 7;
  config.num_return_sequences = 4;
  ToyDecoder decoder({});
  const std::vector<std::int32_t> prompt = {5, 6};
  const auto four = generate(decoder, prompt, config);
  EXPECT_EQ(four.seed, 7U);
  EXPECT_NE(four.sequences[0].ids, four.sequences[1].ids);
  config.num_return_sequences = 1;
  EXPECT_EQ(generate(decoder, prompt, config).sequences[0].ids, four.sequences[0].ids);
  config.seed = 8;
  EXPECT_NE(generate(decoder, prompt, config).sequences[0].ids, four.sequences[0].ids);
  config.temperature = 0;
  const auto greedy = generate(decoder, prompt, config);
  config.do_sample = false;
  config.temperature = 1;
  EXPECT_EQ(generate(decoder, prompt, config).sequences[0].ids, greedy.sequences[0].ids);
}

TEST(Generate, SampledBeamsAreReproducibleAndDifferent) {
  GenerationConfig config;
  config.do_sample = true;
  config.num_beams = 4;
  config.num_return_sequences = 4;
  config.max_new_tokens = 20;
  config.seed = 3;
  ToyDecoder decoder({});
  const std::vector<std::int32_t> prompt = {5, 6};
  const auto first = generate(decoder, prompt, config);
  const auto second = generate(decoder, prompt, config);
  config.seed = 4;
  const auto third = generate(decoder, prompt, config);
  EXPECT_EQ(first.sequences[0].ids, second.sequences[0].ids);
  EXPECT_NE(first.sequences[0].ids, third.sequences[0].ids);
  EXPECT_EQ(decoder.open_sequences(), 0U);
}

TEST(Generate, ReportsLogprobsOfTheModelItself) {
  for (const std::int64_t beams : {1, 2}) {
    GenerationConfig config;
    config.num_beams = beams;
    config.max_new_tokens = 6;
    config.logprobs = 3;
    config.logit_bias = {{20, 100.0}};  // changes the choice, not the report
    ToyDecoder decoder({});
    const auto result = generate(decoder, std::vector<std::int32_t>{5, 6}, config);
    const auto& sequence = result.sequences[0];
    ASSERT_EQ(sequence.logprobs.size(), sequence.ids.size());
    std::vector<float> row(48);
    ToyModel{}.scores(5, 6, row);
    double sum = 0;
    for (const float score : row) sum += std::exp(static_cast<double>(score));
    const TokenLogprobs& first = sequence.logprobs[0];
    EXPECT_EQ(first.chosen.id, 20);
    EXPECT_NEAR(first.chosen.logprob, static_cast<double>(row[20]) - std::log(sum), 1e-12);
    ASSERT_EQ(first.top.size(), 3U);
    EXPECT_EQ(first.top[0].id, std::max_element(row.begin(), row.end()) - row.begin());
    EXPECT_GT(first.top[0].logprob, first.top[1].logprob);
  }
}

class BrokenDecoder : public ToyDecoder {
 public:
  explicit BrokenDecoder(float value) : ToyDecoder({}), value_(value) {}
  void forward(std::span<const Input> inputs, std::span<float> logits) override {
    ToyDecoder::forward(inputs, logits);
    if (++calls_ < 3) return;
    if (std::isnan(value_)) {
      logits[2] = value_;
    } else {
      fail(ErrorCode::resource, "out of pages");
    }
  }

 private:
  float value_;
  int calls_ = 0;
};

TEST(Generate, RefusesNanAndReleasesSequencesOnErrors) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), 0.0F}) {
    for (const std::int64_t beams : {1, 3}) {
      BrokenDecoder decoder(value);
      GenerationConfig config;
      config.num_beams = beams;
      config.max_new_tokens = 10;
      try {
        generate(decoder, std::vector<std::int32_t>{5}, config);
        ADD_FAILURE() << "nothing was refused";
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), ::testing::AnyOf(HasSubstr("NaN"), HasSubstr("out of pages")));
      }
      EXPECT_EQ(decoder.open_sequences(), 0U);
    }
  }
}

TEST(GenerationConfig, ReadsWhatCheckpointsCarry) {
  const auto config = GenerationConfig::from_json(Json::parse(R"({
      "_from_model_config": true, "bos_token_id": 1, "eos_token_id": [2, 32000], "do_sample": true,
      "temperature": 0.6, "top_p": 0.9, "max_length": 4096, "early_stopping": "never",
      "stop_strings": "END", "transformers_version": "4.31.0", "min_p": null})"));
  EXPECT_THAT(config.eos_token_ids, ElementsAre(2, 32000));
  EXPECT_TRUE(config.samples());
  EXPECT_EQ(config.temperature, 0.6);
  EXPECT_EQ(config.top_k, 50);
  EXPECT_EQ(config.max_length, 4096);
  EXPECT_FALSE(config.min_p.has_value());
  EXPECT_EQ(config.early_stopping, EarlyStopping::never);
  EXPECT_THAT(config.stop_strings, ElementsAre("END"));
  for (const char* bad :
       {R"({"early_stopping": "soon"})", R"({"eos_token_id": "x"})", R"({"bad_words_ids": 3})",
        R"({"temperature": "hot"})", R"({"stop_strings": [1]})", R"([1])",
        R"({"eos_token_id": 99999999999})", R"({"exponential_decay_length_penalty": [1]})"}) {
    EXPECT_THROW(GenerationConfig::from_json(Json::parse(bad)), Error) << bad;
  }
}

}  // namespace
}  // namespace tenon::pipelines
