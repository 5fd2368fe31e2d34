#include "traffic/api.h"

#include <algorithm>
#include <cstring>

#include <gmock/gmock.h>

#include "base/error.h"
#include "traffic/probe.h"
#include "traffic/prompts.h"

namespace tenon::traffic {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

std::shared_ptr<const Prompts> prompts() { return std::make_shared<const Prompts>(6, 2, 9); }

TextAsk ask_of(std::int64_t new_tokens) {
  TextAsk ask;
  ask.model = "m";
  ask.new_tokens = new_tokens;
  return ask;
}

TEST(Prompts, DifferFromTheFirstWordBehindWhatTheyShare) {
  const Prompts own(50, 0, 3);
  EXPECT_EQ(own.text(4), Prompts(50, 0, 3).text(4));
  EXPECT_NE(own.text(4), Prompts(50, 0, 4).text(4));
  EXPECT_NE(own.text(4), own.text(5));
  const std::string text = Prompts(10, 10, 3).text(1);
  EXPECT_EQ(std::count(text.begin(), text.end(), ' '), 9);
  EXPECT_EQ(text, Prompts(10, 10, 3).text(2));
  EXPECT_THAT(Prompts(20, 10, 3).text(2), StartsWith(text));
}

TEST(OpenAi, RequestsTellWhatIsMeant) {
  TextAsk ask = ask_of(7);
  ask.extra = {{"top_k", 3}};
  const auto request = make_openai_chat(ask, prompts())->request(5);
  EXPECT_EQ(request.target, "/v1/chat/completions");
  const Json body = parse_json(request.body, "test");
  EXPECT_EQ(body.at("model"), "m");
  EXPECT_EQ(body.at("max_tokens"), 7);
  EXPECT_EQ(body.at("min_tokens"), 7);
  EXPECT_EQ(body.at("ignore_eos"), true);
  EXPECT_EQ(body.at("stream_options").at("include_usage"), true);
  EXPECT_EQ(body.at("top_k"), 3);
  EXPECT_EQ(body.at("messages")[0].at("content"), prompts()->text(5));
  ask.ignore_eos = ask.min_tokens = ask.stream = false;
  const Json plain = parse_json(make_openai_completions(ask, prompts())->request(0).body, "test");
  for (const char* absent : {"stream", "stream_options", "ignore_eos", "min_tokens"})
    EXPECT_FALSE(plain.contains(absent)) << absent;
}

TEST(OpenAi, StreamOfAChat) {
  const auto api = make_openai_chat({}, prompts());
  Record record;
  api->on_event(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})", 1, record);
  EXPECT_LT(record.first, 0);  // a role is no output
  api->on_event(R"({"choices":[{"delta":{"content":"a"},"finish_reason":null}]})", 2, record);
  api->on_event(R"({"choices":[{"delta":{"reasoning_content":"b"}}],"usage":null})", 3, record);
  EXPECT_FALSE(record.finished);
  api->on_event(R"({"choices":[{"delta":{},"finish_reason":"length"}]})", 4, record);
  EXPECT_TRUE(record.finished);
  api->on_event(R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}})", 5, record);
  api->on_event("[DONE]", 6, record);
  EXPECT_THAT(record.pieces, ElementsAre(2, 3));
  EXPECT_EQ(record.first, 2);
  EXPECT_EQ(record.tokens(), 3);
  EXPECT_EQ(record.prompt_tokens, 9);
}

TEST(OpenAi, GarbageAndErrorsInAStream) {
  const auto api = make_openai_completions({}, prompts());
  Record record;
  for (const char* wrong :
       {"", "{", "7", "[]", R"({"choices":{}})", R"({"usage":{"prompt_tokens":-4}})",
        R"({"usage":{"completion_tokens":"x"}})"})
    EXPECT_THROW(api->on_event(wrong, 0, record), Error) << wrong;
  api->on_event(R"({"error":{"message":"out of pages"}})", 0, record);
  EXPECT_EQ(record.failure, Failure::server);
  EXPECT_EQ(record.error, "out of pages");
}

TEST(KServe, InferSendsTensorsAsBytes) {
  const auto api =
      make_kserve_infer("m", {{"a", "FP32", {2, 3}}, {"b", "INT64", {2}}, {"c", "BYTES", {1}}},
                        TensorData::random, 1, Json::object(), prompts());
  const auto request = api->request(3);
  EXPECT_EQ(request.target, "/v2/models/m/infer");
  const auto head = std::stoul(request.headers.back().second);
  const Json json = parse_json(std::string_view(request.body).substr(0, head), "test");
  std::vector<std::size_t> sizes;
  for (const Json& input : json.at("inputs"))
    sizes.push_back(input.at("parameters").at("binary_data_size").get<std::size_t>());
  EXPECT_THAT(sizes, ElementsAre(24, 16, 4 + prompts()->text(3).size()));
  EXPECT_EQ(request.body.size(), head + sizes[0] + sizes[1] + sizes[2]);
  for (std::size_t i = 0; i < 6; ++i) {
    float value = -1;
    std::memcpy(&value, request.body.data() + head + 4 * i, 4);
    EXPECT_TRUE(value >= 0 && value <= 1) << value;
  }
  for (std::size_t i = 0; i < 2; ++i) {
    std::int64_t value = -1;
    std::memcpy(&value, request.body.data() + head + 24 + 8 * i, 8);
    EXPECT_TRUE(value >= 0 && value < 10) << value;
  }
  EXPECT_EQ(request.body, api->request(3).body);
  EXPECT_NE(request.body, api->request(4).body);
}

TEST(KServe, InputsThatCannotBeMeant) {
  const auto make = [](std::string type, std::vector<std::int64_t> shape) {
    return make_kserve_infer("m", {{"a", std::move(type), std::move(shape)}}, TensorData::zero, 0,
                             Json::object(), prompts());
  };
  EXPECT_THROW(make("FP8", {1}), Error);
  EXPECT_THROW(make("FP32", {-1}), Error);
  EXPECT_THROW(make("FP32", {1LL << 40, 1LL << 40}), Error);
  EXPECT_THROW(make("FP64", {1LL << 29}), Error);
  EXPECT_EQ(make("FP16", {})->request(0).body.back(), '\0');
}

TEST(KServe, AnswersOfInfer) {
  const auto api = make_kserve_infer("m", {}, TensorData::zero, 0, Json::object(), prompts());
  Record record;
  const std::string head = R"({"outputs":[{"name":"x"},{"name":"y"}]})";
  const auto answer = [](const std::string& length) {
    return HttpAnswer{200, {{"inference-header-content-length", length}}};
  };
  api->on_answer(head + "\x01\x02", answer(std::to_string(head.size())), record);
  EXPECT_EQ(record.outputs, 2);
  for (const char* length : {"-1", "x", "9999", "99999999999999999999999999"})
    EXPECT_THROW(api->on_answer(head, answer(length), record), Error) << length;
  EXPECT_THROW(api->on_answer("{}", {200, {}}, record), Error);
}

TEST(KServe, StreamOfGenerate) {
  const auto api = make_kserve_generate(ask_of(4), prompts());
  EXPECT_EQ(api->request(0).target, "/v2/models/m/generate_stream");
  Record record;
  api->on_event(R"({"text_output":"a"})", 1, record);
  api->on_event(R"({"text_output":""})", 2, record);
  EXPECT_THAT(record.pieces, ElementsAre(1));
  EXPECT_TRUE(record.finished);
  EXPECT_THROW(api->on_event("{}", 3, record), Error);
  api->on_event(R"({"error":"gone"})", 3, record);
  EXPECT_EQ(record.failure, Failure::server);
}

// Tokenizers of 1.3 tokens a word behind a template of 17, of one each, and two that tell nonsense.
TEST(Calibration, FindsTheWordsForSoManyTokens) {
  using Count = std::optional<std::int64_t>;
  for (const std::int64_t wanted : {20, 128, 1000}) {
    const auto templated = [](std::int64_t words) { return Count(17 + words * 13 / 10); };
    const auto words = calibrate_words(wanted, templated);
    ASSERT_TRUE(words);
    EXPECT_LE(std::abs(*templated(*words) - wanted), 1) << wanted;
    EXPECT_EQ(calibrate_words(wanted, [](std::int64_t n) { return Count(n); }), wanted);
  }
  EXPECT_EQ(calibrate_words(64, [](std::int64_t) { return Count(); }), std::nullopt);
  EXPECT_TRUE(calibrate_words(64, [](std::int64_t) { return Count(5); }));
  EXPECT_TRUE(calibrate_words(64, [](std::int64_t) { return Count(0); }));
}

}  // namespace
}  // namespace tenon::traffic
