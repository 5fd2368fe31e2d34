#include "session/memory_plan.h"

#include <random>

#include <gtest/gtest.h>

namespace tenon::session {
namespace {

TEST(MemoryPlan, ValuesAliveTogetherNeverOverlap) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> lives;
    std::size_t total = 0;
    for (int i = 0; i < 60; ++i) {
      const int first = static_cast<int>(random() % 50);
      lives.push_back({random() % 5000, first, first + static_cast<int>(random() % 8)});
      total += lives.back().bytes + 64;
    }
    const MemoryPlan plan = plan_memory(lives);
    EXPECT_LE(plan.bytes, total);
    for (std::size_t a = 0; a < lives.size(); ++a) {
      EXPECT_EQ(plan.offsets[a] % 64, 0U);
      EXPECT_LE(plan.offsets[a] + lives[a].bytes, plan.bytes);
      for (std::size_t b = 0; b < a; ++b) {
        const bool together = lives[a].first <= lives[b].last && lives[b].first <= lives[a].last;
        const bool overlap = plan.offsets[a] < plan.offsets[b] + lives[b].bytes &&
                             plan.offsets[b] < plan.offsets[a] + lives[a].bytes;
        EXPECT_FALSE(together && overlap);
      }
    }
  }
}

TEST(MemoryPlan, AChainReusesTwoPlaces) {
  std::vector<Lifetime> chain;
  for (int i = 0; i < 20; ++i) chain.push_back({1024, i, i + 1});
  EXPECT_EQ(plan_memory(chain).bytes, 2048U);
}

}  // namespace
}  // namespace tenon::session
