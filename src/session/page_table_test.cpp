#include "session/page_table.h"

#include <random>

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::session {
namespace {

TEST(PageTable, SharedPagesAreCopiedBeforeTheyAreWritten) {
  PageTable table(8, 4);
  std::vector<PageTable::Copy> copies;
  const auto a = table.create();
  ASSERT_TRUE(table.extend(a, 6, copies));
  const auto b = table.fork(a);
  EXPECT_TRUE(copies.empty());
  EXPECT_EQ(table.free_pages(), 6);
  ASSERT_TRUE(table.extend(b, 1, copies));
  ASSERT_EQ(copies.size(), 1U);
  EXPECT_EQ(copies[0].from, table.pages(a)[1]);
  EXPECT_EQ(copies[0].to, table.pages(b)[1]);
  EXPECT_EQ(table.pages(a)[0], table.pages(b)[0]);
  copies.clear();
  ASSERT_TRUE(table.extend(a, 1, copies));  // the last owner writes in place
  EXPECT_TRUE(copies.empty());
}

TEST(PageTable, AFullPageIsNeverCopied) {
  PageTable table(8, 4);
  std::vector<PageTable::Copy> copies;
  const auto a = table.create();
  ASSERT_TRUE(table.extend(a, 4, copies));
  const auto b = table.fork(a);
  ASSERT_TRUE(table.extend(b, 1, copies));
  EXPECT_TRUE(copies.empty());
  EXPECT_EQ(table.pages(b).size(), 2U);
}

TEST(PageTable, RefusesWithoutChangeWhenFull) {
  PageTable table(2, 4);
  std::vector<PageTable::Copy> copies;
  const auto a = table.create();
  EXPECT_FALSE(table.extend(a, 9, copies));
  EXPECT_EQ(table.length(a), 0);
  EXPECT_EQ(table.free_pages(), 2);
  EXPECT_THROW(table.release(17), Error);
}

TEST(PageTable, RetainedPagesOutliveTheirSequence) {
  PageTable table(4, 4);
  std::vector<PageTable::Copy> copies;
  const auto a = table.create();
  ASSERT_TRUE(table.extend(a, 8, copies));
  const std::vector<std::int32_t> kept(table.pages(a).begin(), table.pages(a).end());
  for (const std::int32_t page : kept) table.retain(page);
  table.release(a);
  EXPECT_EQ(table.free_pages(), 2);
  const auto b = table.create(kept);
  EXPECT_EQ(table.length(b), 8);
  EXPECT_EQ(table.references(kept[0]), 2);
  ASSERT_TRUE(table.extend(b, 1, copies));
  EXPECT_TRUE(copies.empty()) << "full pages are never written";
  for (const std::int32_t page : kept) table.let_go(page);
  EXPECT_EQ(table.free_pages(), 1);
  table.release(b);
  EXPECT_EQ(table.free_pages(), 4);
  EXPECT_THROW(table.retain(kept[0]), Error);
  EXPECT_THROW(table.let_go(kept[0]), Error);
  EXPECT_THROW(table.create(kept), Error);
  EXPECT_THROW(table.retain(4), Error);
}

TEST(PageTable, APageIsReplacedByItsEqual) {
  PageTable table(4, 4);
  std::vector<PageTable::Copy> copies;
  const auto a = table.create();
  const auto b = table.create();
  ASSERT_TRUE(table.extend(a, 4, copies));
  ASSERT_TRUE(table.extend(b, 5, copies));
  table.replace(b, 0, table.pages(a)[0]);
  EXPECT_EQ(table.free_pages(), 2);
  EXPECT_EQ(table.pages(b)[0], table.pages(a)[0]);
  table.replace(b, 0, table.pages(b)[0]);
  EXPECT_EQ(table.references(table.pages(a)[0]), 2);
  EXPECT_THROW(table.replace(b, 2, table.pages(a)[0]), Error);
  table.release(a);
  table.release(b);
  EXPECT_EQ(table.free_pages(), 4);
}

// Whatever happens, every page is free or counted, and no two sequences write the same page.
TEST(PageTable, RandomHistoriesLoseNoPage) {
  std::mt19937 random(7);
  PageTable table(40, 4);
  std::vector<PageTable::Sequence> live;
  for (int step = 0; step < 20000; ++step) {
    std::vector<PageTable::Copy> copies;
    const auto pick = [&] { return live[random() % live.size()]; };
    switch (live.empty() ? 0 : random() % 5) {
      case 0:
        if (live.size() < 12) live.push_back(table.create());
        break;
      case 1:
        if (live.size() < 12) live.push_back(table.fork(pick()));
        break;
      case 2: {
        const std::size_t index = random() % live.size();
        table.release(live[index]);
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(index));
        break;
      }
      case 3: {
        const auto sequence = pick();
        const auto before = table.length(sequence);
        if (table.extend(sequence, static_cast<std::int64_t>(random() % 7), copies)) {
          for (const auto other : live) {
            if (other == sequence) continue;
            for (std::int64_t at = before; at < table.length(sequence); ++at) {
              const auto page = table.pages(sequence)[static_cast<std::size_t>(at / 4)];
              for (const auto taken : table.pages(other)) ASSERT_NE(page, taken);
            }
          }
        }
        break;
      }
      default: {
        const auto sequence = pick();
        const auto length = table.length(sequence);
        table.truncate(sequence, length == 0 ? 0
                                             : static_cast<std::int64_t>(
                                                   random() % static_cast<unsigned>(length + 1)));
      }
    }
  }
  for (const auto sequence : live) table.release(sequence);
  EXPECT_EQ(table.free_pages(), 40);
}

}  // namespace
}  // namespace tenon::session
