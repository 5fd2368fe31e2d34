#include "serving/trace_settings.h"

#include <fstream>

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/json.h"
#include "serving/log_settings.h"

namespace tenon::serving {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using namespace std::chrono_literals;

class Folder : public testing::Test {
 protected:
  void SetUp() override { fs::create_directory(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  std::vector<Json> lines(const char* name) const {
    std::vector<Json> list;
    std::ifstream file(folder_ / name);
    for (std::string line; std::getline(file, line);) list.push_back(Json::parse(line));
    return list;
  }

  fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("tenon-") + testing::UnitTest::GetInstance()->current_test_info()->name());
};
class Traces : public Folder {};
class Logs : public Folder {};

TracedRequest request(const char* traceparent = "") {
  TracedRequest made;
  made.context = trace_context(traceparent);
  made.request_id = "r";
  made.model = "m";
  made.version = "1";
  made.begin = std::chrono::steady_clock::now() - 10ms;
  made.phases = {10ms, 2ms, 1ms, 6ms, 1ms};
  return made;
}

template <typename Body>
std::string message_of(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

constexpr const char* kParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContext, FollowsTheClient) {
  const TraceContext found = trace_context(kParent);
  EXPECT_EQ(found.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(found.parent_id, "00f067aa0ba902b7");
  EXPECT_TRUE(found.sampled);
  EXPECT_EQ(found.traceparent(), "00-" + found.trace_id + "-" + found.span_id + "-01");
  EXPECT_FALSE(trace_context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-f0").sampled);
  EXPECT_TRUE(
      trace_context("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0f-more").sampled);
}

TEST(TraceContext, BeginsAnewWhereItIsMalformed) {
  for (const char* given : {"", "x", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g"}) {
    const TraceContext made = trace_context(given);
    EXPECT_EQ(made.parent_id, "") << given;
    EXPECT_EQ(made.trace_id.size(), 32U);
    EXPECT_NE(made.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_FALSE(made.sampled);
  }
  EXPECT_NE(trace_context("").trace_id, trace_context("").trace_id);
}

TEST_F(Traces, AreWrittenAsSpans) {
  TraceSettings settings(folder_);
  settings.record(request());
  EXPECT_FALSE(fs::exists(folder_ / "traces.jsonl"));  // OFF
  settings.update("", {{"trace_level", {{"TIMESTAMPS"}}}, {"trace_rate", {{"1"}}}});
  TracedRequest text = request(kParent);
  text.first_token = text.begin + 3ms;
  text.tokens = 7;
  settings.record(text);
  const auto all = lines("traces.jsonl");
  ASSERT_EQ(all.size(), 1U);
  const Json& spans = all[0]["resourceSpans"][0]["scopeSpans"][0]["spans"];
  ASSERT_EQ(spans.size(), 5U);
  EXPECT_EQ(spans[0]["parentSpanId"], "00f067aa0ba902b7");
  EXPECT_EQ(spans[0]["events"][0]["name"], "first_token");
  std::vector<std::string> names;
  std::int64_t at = std::stoll(spans[0]["startTimeUnixNano"].get<std::string>());
  for (std::size_t i = 1; i < spans.size(); ++i) {
    names.push_back(spans[i]["name"]);
    EXPECT_EQ(spans[i]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(spans[i]["parentSpanId"], spans[0]["spanId"]);
    EXPECT_EQ(std::stoll(spans[i]["startTimeUnixNano"].get<std::string>()), at);
    at = std::stoll(spans[i]["endTimeUnixNano"].get<std::string>());
  }
  EXPECT_EQ(std::stoll(spans[0]["endTimeUnixNano"].get<std::string>()), at);
  EXPECT_THAT(names, testing::ElementsAre("input", "queue", "infer", "output"));
}

TEST_F(Traces, FollowRateCountAndFrequency) {
  TraceSettings settings(folder_);
  settings.update("", {{"trace_level", {{"TIMESTAMPS"}}},
                       {"trace_rate", {{"3"}}},
                       {"trace_count", {{"4"}}},
                       {"log_frequency", {{"2"}}},
                       {"trace_file", {{"t"}}}});
  for (int i = 0; i < 30; ++i) settings.record(request());
  EXPECT_EQ(lines("t.0").size(), 2U);
  EXPECT_EQ(lines("t.1").size(), 2U);
  EXPECT_FALSE(fs::exists(folder_ / "t.2"));
  EXPECT_EQ(settings.written().at("trace_count").front(), "0");
}

TEST_F(Traces, OfAModelStandBeforeThoseOfAll) {
  TraceSettings settings(folder_);
  settings.update("m", {{"trace_level", {{"TIMESTAMPS"}}}, {"trace_rate", {{"1"}}}});
  settings.update("", {{"trace_file", {{"other"}}}});
  EXPECT_EQ(settings.written("m").at("trace_file").front(), "traces.jsonl");
  settings.update("m", {{"trace_file", std::nullopt}});
  EXPECT_EQ(settings.written("m").at("trace_file").front(), "other");
  settings.record(request());
  EXPECT_EQ(lines("other").size(), 1U);
  EXPECT_EQ(settings.written("x").at("trace_level").front(), "OFF");
  settings.update("m", {});
  EXPECT_EQ(settings.written("m").at("trace_level").front(), "OFF");
}

TEST_F(Traces, RefuseWhatIsNoSetting) {
  TraceSettings settings(folder_);
  const auto refused = [&](const char* name, std::vector<std::string> values) {
    return message_of([&] { settings.update("", {{name, std::move(values)}}); });
  };
  EXPECT_THAT(refused("trace_level", {"OFF", "TIMESTAMPS"}), HasSubstr("only one trace level"));
  EXPECT_THAT(refused("trace_level", {"TENSORS"}), HasSubstr("tensors are not traced"));
  EXPECT_THAT(refused("trace_rate", {"0"}), HasSubstr("out of range"));
  EXPECT_THAT(refused("trace_rate", {"x"}), HasSubstr("Unable to parse 'trace_rate'"));
  EXPECT_THAT(refused("trace_rate", {"99999999999999999999"}), HasSubstr("out of range"));
  EXPECT_THAT(refused("trace_count", {"-2"}), HasSubstr("out of range"));
  EXPECT_THAT(refused("trace_mode", {"triton"}), HasSubstr("no trace setting"));
  for (const char* name : {"", "../x", "/etc/passwd", "a/b", ".hidden", "a b"})
    EXPECT_THAT(refused("trace_file", {name}), HasSubstr("a plain file name")) << name;
  EXPECT_THAT(message_of([] { TraceSettings().update("", {}); }), HasSubstr("--trace-dir"));
}

TEST_F(Traces, FollowNoLinkOutOfTheFolder) {
  fs::create_symlink("/dev/null", folder_ / "link");
  EXPECT_THAT(message_of([&] { const AppendFile file(folder_, "link"); }),
              HasSubstr("cannot be opened"));
}

TEST_F(Logs, FollowTheSwitches) {
  LogSettings settings({}, folder_);
  settings.update({{"log_file", "log"}});
  settings.message(log::Level::info, "one");
  settings.message(log::Level::debug, "hidden");
  settings.update({{"log_info", false}, {"log_verbose_level", std::int64_t{1}}});
  settings.message(log::Level::info, "hidden");
  settings.message(log::Level::debug, "two");
  settings.update({{"log_warning", false}, {"log_format", "ISO8601"}});
  settings.message(log::Level::warn, "hidden");
  settings.message(log::Level::error, "three");
  const auto all = lines("log");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0]["message"], "one");
  EXPECT_TRUE(all[0]["time"].is_number());
  EXPECT_EQ(all[1]["level"], "debug");
  EXPECT_THAT(all[2]["time"].get<std::string>(),
              testing::MatchesRegex("....-..-..T..:..:..\\.......Z"));
}

TEST_F(Logs, RefuseWhatIsNoSetting) {
  LogSettings settings({}, folder_);
  const auto refused = [&](const char* name, LogSettings::Value value) {
    return message_of([&] { settings.update({{name, std::move(value)}}); });
  };
  EXPECT_THAT(refused("log_info", std::int64_t{1}), HasSubstr("expect boolean for 'log_info'"));
  EXPECT_THAT(refused("log_format", "other"), HasSubstr("invalid log_format"));
  EXPECT_THAT(refused("log_verbose_level", std::int64_t{-1}), HasSubstr("2^32"));
  EXPECT_THAT(refused("log_file", "../x"), HasSubstr("a plain file name"));
  EXPECT_THAT(refused("log_other", true), HasSubstr("no log setting"));
  // Nothing changes when one of several is wrong.
  EXPECT_THROW(settings.update({{"log_info", false}, {"log_verbose_level", true}}), Error);
  EXPECT_TRUE(settings.values().info);
  LogSettings without;
  EXPECT_THAT(message_of([&] { without.update({{"log_file", "log"}}); }), HasSubstr("--trace-dir"));
}

}  // namespace
}  // namespace tenon::serving
