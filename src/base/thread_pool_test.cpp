#include "base/thread_pool.h"

#include <chrono>
#include <numeric>

#include <gtest/gtest.h>

namespace tenon {
namespace {

TEST(ThreadPool, EveryMemberRunsOnceATask) {
  ThreadPool pool(4);
  for (int round = 0; round < 1000; ++round) {
    std::vector<std::atomic<int>> calls(4);
    pool.run([&](int member) { calls[static_cast<std::size_t>(member)].fetch_add(1); });
    for (auto& count : calls) EXPECT_EQ(count.load(), 1);
  }
}

TEST(ThreadPool, RangesCoverTheCountExactly) {
  ThreadPool pool(3);
  for (std::int64_t count : {0, 1, 2, 7, 64, 65, 1000}) {
    for (std::int64_t grain : {1, 4, 16}) {
      std::vector<std::atomic<int>> hits(static_cast<std::size_t>(count));
      pool.parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = begin; i < end; ++i) hits[static_cast<std::size_t>(i)].fetch_add(1);
      });
      for (auto& hit : hits) EXPECT_EQ(hit.load(), 1);
    }
  }
}

TEST(ThreadPool, WakesWorkersThatSleep) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int> calls{0};
    pool.run([&](int) { calls.fetch_add(1); });
    EXPECT_EQ(calls.load(), 2);
  }
}

}  // namespace
}  // namespace tenon
