#include "traffic/statistics.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "traffic/report.h"
#include "traffic/result.h"

namespace tenon::traffic {
namespace {

using testing::HasSubstr;

// Ten tokens: the first after 0.1 s, then one each 0.01 s.
Record answer(double due) {
  Record record;
  record.due = record.sent = due;
  record.first = due + 0.1;
  for (int i = 0; i < 10; ++i) record.pieces.push_back(record.first + 0.01 * i);
  record.end = record.pieces.back();
  record.status = 200;
  record.output_tokens = 10;
  record.prompt_tokens = 5;
  record.finished = true;
  return record;
}

Level level_of(int count, double gap) {
  Level level;
  for (int i = 0; i < count; ++i) level.records.push_back(answer(gap * i));
  level.seconds = level.records.back().end;
  level.full_until = level.seconds;
  return level;
}

TEST(Statistics, QuantilesInterpolate) {
  const auto d = distribution_of({5, 1, 3, 2, 4});
  EXPECT_EQ(d.count, 5U);
  EXPECT_DOUBLE_EQ(d.mean, 3);
  EXPECT_DOUBLE_EQ(d.p50, 3);
  EXPECT_DOUBLE_EQ(d.p90, 4.6);
  EXPECT_DOUBLE_EQ(d.min, 1);
  EXPECT_DOUBLE_EQ(d.max, 5);
  EXPECT_DOUBLE_EQ(d.stddev * d.stddev, 2);
  EXPECT_EQ(distribution_of({}).count, 0U);
  EXPECT_DOUBLE_EQ(distribution_of({7}).p99, 7);
}

TEST(Statistics, TimesAndRates) {
  const auto s = summarize(level_of(20, 0.2), {}, 0, 0.1);
  EXPECT_EQ(s.completed, 20U);
  EXPECT_NEAR(s.ttft.p50, 0.1, 1e-9);
  EXPECT_NEAR(s.itl.p99, 0.01, 1e-9);
  EXPECT_EQ(s.itl.count, 180U);
  EXPECT_NEAR(s.tpot.p50, 0.01, 1e-9);
  EXPECT_NEAR(s.e2e.p50, 0.19, 1e-9);
  EXPECT_NEAR(s.window_s, 3.99, 1e-9);
  EXPECT_NEAR(s.output_tokens_per_s, 200 / 3.99, 1e-9);
  EXPECT_NEAR(s.requests_per_s, 20 / 3.99, 1e-9);
  EXPECT_EQ(s.output_tokens, 200);
  EXPECT_EQ(s.prompt_tokens, 100);
  EXPECT_TRUE(s.usage_told);
}

TEST(Statistics, UsageCountsTokensThatCameTogether) {
  Level level = level_of(4, 0.2);
  for (Record& record : level.records) record.output_tokens = 19;
  auto s = summarize(level, {}, 0, 0.1);
  EXPECT_EQ(s.output_tokens, 76);
  EXPECT_EQ(s.pieces, 40);
  EXPECT_NEAR(s.tpot.p50, 0.09 / 18, 1e-9);
  level.records[0].output_tokens = -1;
  s = summarize(level, {}, 0, 0.1);
  EXPECT_FALSE(s.usage_told);
  EXPECT_EQ(s.output_tokens, 67);
}

TEST(Statistics, AWindowCountsWhatArrivedWithinIt) {
  // The second answer gives five of its ten tokens before 0.345.
  const auto s = summarize(level_of(2, 0.2), {}, 0.345, 0.1);
  EXPECT_DOUBLE_EQ(s.window_s, 0.345);
  EXPECT_NEAR(s.output_tokens_per_s, 15 / 0.345, 1e-9);
  EXPECT_NEAR(s.requests_per_s, 1 / 0.345, 1e-9);
}

TEST(Statistics, LatencyCountsFromWhenARequestWasDue) {
  Level level = level_of(1, 0);
  level.records[0].sent = 0.05;
  EXPECT_NEAR(summarize(level, {}, 0, 0.1).ttft.p50, 0.1, 1e-9);
}

TEST(Statistics, Goodput) {
  Level level = level_of(4, 0.2);
  level.records[1].failure = Failure::status;
  level.records[1].status = 429;
  level.records[1].error = "full";
  level.records[2].failure = Failure::cancelled;
  const auto good = summarize(level, parse_goodput("ttft:101,itl:10.5,e2e:200"), 0, 0.1);
  EXPECT_NEAR(good.good_per_s, 2 / level.seconds, 1e-9);
  EXPECT_NEAR(good.good_share, 2.0 / 3, 1e-9);
  EXPECT_EQ(good.errors.at("status 429"), 1U);
  EXPECT_EQ(good.examples.at("status 429"), "full");
  EXPECT_EQ(good.cancelled, 1U);
  for (const char* tight : {"ttft:99", "itl:9.5", "tpot:9.5", "e2e:189"})
    EXPECT_EQ(summarize(level, parse_goodput(tight), 0, 0.1).good_per_s, 0) << tight;
  for (const char* wrong : {"ttft", "ttft:", "ttft:x", "ttft:-1", "ttft:5ms", "speed:3", "ttft:0"})
    EXPECT_THROW(parse_goodput(wrong), Error) << wrong;
}

TEST(Statistics, Steadiness) {
  const auto even = summarize(level_of(30, 0.2), {}, 0, 0.1).steadiness;
  EXPECT_TRUE(even.told);
  EXPECT_TRUE(even.steady) << even.largest;
  EXPECT_EQ(even.per_s.size(), 3U);
  // The last third comes at half the pace: about 50, 50 and 25 tokens a second.
  Level slowing = level_of(20, 0.2);
  for (int i = 0; i < 5; ++i) slowing.records.push_back(answer(4 + 0.4 * i));
  slowing.seconds = slowing.full_until = 6;
  const auto uneven = summarize(slowing, {}, 0, 0.1).steadiness;
  EXPECT_TRUE(uneven.told);
  EXPECT_FALSE(uneven.steady);
  EXPECT_FALSE(summarize(level_of(3, 0.2), {}, 0, 0.1).steadiness.told);
}

TEST(Statistics, NothingAnswered) {
  Level level;
  level.records.resize(3);
  for (Record& record : level.records) record.failure = Failure::connect;
  const Json made = level_json({{"concurrency", 1}}, level, summarize(level, {}, 0, 0.1), {});
  EXPECT_EQ(made.at("failed"), 3);
  EXPECT_TRUE(made.at("e2e_ms").is_null());
}

Json result_of(const std::string& label) {
  const Level level = level_of(12, 0.2);
  const auto goodput = parse_goodput("ttft:101");
  Json result = {{"label", label},
                 {"server", {{"url", "http://x"}, {"model", "m"}, {"api", "openai"}}},
                 {"notes", Json::array({"a <note>"})},
                 {"command", "tenon bench"},
                 {"levels", Json::array()}};
  result["levels"].push_back(
      level_json({{"concurrency", 2}}, level, summarize(level, goodput, 0, 0.1), goodput));
  return result;
}

TEST(Report, StandsAloneAndIsSafe) {
  const std::string html = to_html({result_of("<script>alert(1)</script>"), result_of("b&c")});
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)"));
  EXPECT_THAT(html, HasSubstr("b&amp;c"));
  EXPECT_THAT(html, HasSubstr("a &lt;note&gt;"));
  EXPECT_THAT(html, HasSubstr("Time to first token"));
  for (const char* outside : {"<script", "src=", "href=", "@import", ">nan", ">inf", "=\"nan"})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
}

TEST(Report, ForeignResultsAreRefusedOrDrawnAsFarAsTheyGo) {
  EXPECT_THROW(check_result(Json::array(), "x"), Error);
  EXPECT_THROW(check_result({{"levels", Json::array({1})}, {"server", Json::object()}}, "x"),
               Error);
  Json odd = result_of("odd");
  check_result(odd, "x");
  Json& level = odd["levels"][0];
  level["ecdf"] = parse_json(R"({"ttft_ms": [[1, "a"], 2, [3, 0.5]]})", "x");
  level["timeline"] = parse_json(R"([[1, 2], [1, null, 2, "cut"], [1, null, 1e300, "cut"]])", "x");
  level["concurrency"] = "many";
  level["errors"] = {{"cut", 3}};
  EXPECT_THAT(to_html({odd}), HasSubstr("odd"));
}

TEST(Record, TimePerToken) {
  Record one = answer(0);
  EXPECT_NEAR(one.time_per_token(), 0.01, 1e-12);
  one.pieces.resize(1);
  EXPECT_LT(one.time_per_token(), 0);
}

}  // namespace
}  // namespace tenon::traffic
