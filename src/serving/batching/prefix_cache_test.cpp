// Pages known by their tokens: shared, kept, let go of in order of use, never lost.
#include "serving/batching/prefix_cache.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenon::serving {
namespace {

using session::PageTable;
using Tokens = std::vector<std::int32_t>;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Tokens counted(std::int32_t first, std::int32_t count) {
  Tokens tokens;
  for (std::int32_t i = 0; i < count; ++i) tokens.push_back(first + i);
  return tokens;
}

struct Cache {
  PageTable table{8, 4};
  PrefixCache prefixes{table};

  PageTable::Sequence computed(const Tokens& tokens) {
    const auto match = prefixes.find(tokens);
    const auto sequence = table.create(match.pages);
    std::vector<PageTable::Copy> copies;
    EXPECT_TRUE(table.extend(
        sequence, static_cast<std::int64_t>(tokens.size()) - table.length(sequence), copies));
    auto mark = match.mark;
    prefixes.keep(sequence, tokens, mark);
    return sequence;
  }
};

TEST(PrefixCache, FindsFullPagesAndOnlyThose) {
  Cache cache;
  const auto a = cache.computed(counted(0, 10));
  const Tokens pages(cache.table.pages(a).begin(), cache.table.pages(a).end());
  cache.table.release(a);
  EXPECT_EQ(cache.table.free_pages(), 6);
  EXPECT_EQ(cache.prefixes.evictable(), 2);
  EXPECT_THAT(cache.prefixes.find(counted(0, 3)).pages, IsEmpty());
  EXPECT_THAT(cache.prefixes.find(counted(0, 7)).pages, ElementsAre(pages[0]));
  EXPECT_THAT(cache.prefixes.find(counted(0, 20)).pages, ElementsAre(pages[0], pages[1]));
  // The same tokens after others are another page.
  EXPECT_THAT(cache.prefixes.find(counted(4, 4)).pages, IsEmpty());
}

TEST(PrefixCache, WhatWasComputedTwiceIsKeptOnce) {
  Cache cache;
  std::vector<PageTable::Copy> copies;
  const Tokens tokens = counted(0, 8);
  const auto a = cache.table.create();
  const auto b = cache.table.create();
  ASSERT_TRUE(cache.table.extend(a, 8, copies));
  ASSERT_TRUE(cache.table.extend(b, 8, copies));
  PrefixCache::Mark of_a;
  PrefixCache::Mark of_b;
  cache.prefixes.keep(a, tokens, of_a);
  EXPECT_EQ(cache.table.free_pages(), 4);
  cache.prefixes.keep(b, tokens, of_b);
  EXPECT_EQ(cache.table.free_pages(), 6);
  EXPECT_EQ(cache.table.pages(a)[1], cache.table.pages(b)[1]);
  EXPECT_EQ(cache.prefixes.evictable(), 0);
  cache.table.release(a);
  EXPECT_EQ(cache.prefixes.evictable(), 0);
  cache.table.release(b);
  EXPECT_EQ(cache.prefixes.evictable(), 2);
}

TEST(PrefixCache, LetsGoOfTheLeastRecentlyUsed) {
  Cache cache;
  for (const std::int32_t first : {0, 100, 200})
    cache.table.release(cache.computed(counted(first, 8)));
  EXPECT_EQ(cache.table.free_pages(), 2);
  cache.prefixes.touch(cache.prefixes.find(counted(0, 8)).mark);
  ASSERT_TRUE(cache.prefixes.evict_until_free(3));
  // The last page of the oldest goes first; its beginning is still of use.
  EXPECT_EQ(cache.prefixes.find(counted(100, 8)).pages.size(), 1U);
  ASSERT_TRUE(cache.prefixes.evict_until_free(5));
  EXPECT_EQ(cache.prefixes.find(counted(100, 8)).pages.size(), 0U);
  EXPECT_EQ(cache.prefixes.find(counted(200, 8)).pages.size(), 1U);
  EXPECT_EQ(cache.prefixes.find(counted(0, 8)).pages.size(), 2U);
  const auto user = cache.computed(counted(0, 8));
  EXPECT_FALSE(cache.prefixes.evict_until_free(8)) << "two are in use";
  EXPECT_EQ(cache.table.free_pages(), 6);
  cache.table.release(user);
  EXPECT_TRUE(cache.prefixes.evict_until_free(8));
  EXPECT_EQ(cache.prefixes.size(), 0U);
}

TEST(PrefixCache, GivesItsPagesBackAtItsEnd) {
  PageTable table(4, 4);
  {
    PrefixCache prefixes(table);
    std::vector<PageTable::Copy> copies;
    const auto a = table.create();
    ASSERT_TRUE(table.extend(a, 16, copies));
    PrefixCache::Mark mark;
    prefixes.keep(a, counted(0, 16), mark);
    table.release(a);
    EXPECT_EQ(table.free_pages(), 0);
  }
  EXPECT_EQ(table.free_pages(), 4);
}

}  // namespace
}  // namespace tenon::serving
