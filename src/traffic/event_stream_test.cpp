#include "traffic/event_stream.h"

#include <vector>

#include <gmock/gmock.h>

#include "base/error.h"

namespace tenon::traffic {
namespace {

using testing::ElementsAre;

std::vector<std::string> events_of(std::string_view text, std::size_t piece) {
  std::vector<std::string> events;
  EventStream stream([&](std::string_view data) { events.emplace_back(data); });
  for (std::size_t at = 0; at < text.size(); at += piece) stream.feed(text.substr(at, piece));
  EXPECT_FALSE(stream.has_rest());
  return events;
}

TEST(EventStream, EveryLineEndingInPiecesOfEverySize) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const std::string text = "data: a" + end + end + ": comment" + end + "event: x" + end +
                             "data:b" + end + "data:  c" + end + end + "id: 1" + end + end +
                             "data" + end + end + "data: \xc3\xa9" + end + end;
    for (std::size_t piece = 1; piece <= text.size(); ++piece)
      EXPECT_THAT(events_of(text, piece), ElementsAre("a", "b\n c", "", "\xc3\xa9"))
          << "pieces of " << piece;
  }
}

TEST(EventStream, MixedEndingsAndByteOrderMark) {
  EXPECT_THAT(events_of("\xef\xbb\xbf"
                        "data: 1\r\n\ndata: 2\r\rdata: 3\n\r\n",
                        2),
              ElementsAre("1", "2", "3"));
}

TEST(EventStream, OtherFieldsAreNoData) {
  EXPECT_THAT(events_of("datas: 1\nDATA: 2\n data: 3\ndata: 4\n\n", 3), ElementsAre("4"));
}

TEST(EventStream, TellsOfARest) {
  EventStream stream([](std::string_view) { FAIL(); });
  stream.feed("data: half");
  EXPECT_TRUE(stream.has_rest());
  stream.feed("\n");
  EXPECT_TRUE(stream.has_rest());
}

TEST(EventStream, RefusesAnEndlessEvent) {
  EventStream stream([](std::string_view) {}, 64);
  EXPECT_THROW(for (int i = 0; i < 100; ++i) stream.feed("data: 12345\n"), Error);
  EventStream line([](std::string_view) {}, 64);
  EXPECT_THROW(line.feed(std::string(65, 'x')), Error);
}

}  // namespace
}  // namespace tenon::traffic
