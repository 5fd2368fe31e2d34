// The scheduler on a clock of its own: single cases.
#include "serving/tensors/batch_scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::serving {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Ids = std::vector<std::uint64_t>;

const TimePoint kStart{};

BatchPolicy joining(std::int64_t max_batch = 8) {
  BatchPolicy policy;
  policy.max_batch = max_batch;
  policy.joins = true;
  return policy;
}

/// Adds tasks with ids from 1.
class Queue {
 public:
  explicit Queue(const BatchPolicy& policy) : scheduler(policy) {}
  std::uint64_t add(TensorTask task = {}) {
    task.id = ++last_;
    task.arrival = now;
    scheduler.add(task);
    return task.id;
  }
  /// The tasks of the only batch that begins, none when none does.
  Ids begun() {
    const BatchPlan plan = scheduler.plan(now);
    next = plan.next;
    expired.clear();
    for (const auto& one : plan.expired) expired.push_back(one.task);
    EXPECT_LE(plan.batches.size(), 1U);
    return plan.batches.empty() ? Ids() : plan.batches.front().tasks;
  }
  Ids after(milliseconds time) {
    now = kStart + time;
    return begun();
  }

  BatchScheduler scheduler;
  TimePoint now = kStart;
  std::optional<TimePoint> next;
  Ids expired;

 private:
  std::uint64_t last_ = 0;
};

TEST(BatchScheduler, JoinsWhatWaitsWhenAnInstanceIsFree) {
  Queue queue(joining(4));
  queue.add();
  EXPECT_THAT(queue.begun(), ElementsAre(1));
  for (int i = 0; i < 5; ++i) queue.add();
  EXPECT_THAT(queue.begun(), IsEmpty());
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), ElementsAre(2, 3, 4, 5));
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), ElementsAre(6));
  queue.scheduler.finish(0);
  EXPECT_TRUE(queue.scheduler.idle());
}

TEST(BatchScheduler, RunsSinglyWithoutDynamicBatching) {
  BatchPolicy policy = joining();
  policy.joins = false;
  Queue queue(policy);
  queue.add();
  queue.add();
  EXPECT_THAT(queue.begun(), ElementsAre(1));
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), ElementsAre(2));
}

TEST(BatchScheduler, RunsOnEveryInstance) {
  BatchPolicy policy = joining(1);
  policy.instances = 2;
  BatchScheduler scheduler(policy);
  for (std::uint64_t id = 1; id <= 3; ++id) scheduler.add({.id = id});
  const BatchPlan plan = scheduler.plan(kStart);
  ASSERT_EQ(plan.batches.size(), 2U);
  EXPECT_NE(plan.batches[0].instance, plan.batches[1].instance);
}

TEST(BatchScheduler, CountsRows) {
  Queue queue(joining(4));
  queue.add({.rows = 3});
  queue.add({.rows = 2});
  queue.add({.rows = 9});  // beyond the limit: alone
  EXPECT_EQ(queue.scheduler.waiting_rows(), 14);
  EXPECT_THAT(queue.begun(), ElementsAre(1));
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), ElementsAre(2));
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), ElementsAre(3));
}

TEST(BatchScheduler, JoinsEqualShapesOnly) {
  Queue queue(joining());
  queue.add({.shape = {2}});
  queue.add({.shape = {3}});
  queue.add({.shape = {2}});
  EXPECT_THAT(queue.begun(), ElementsAre(1, 3));
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), ElementsAre(2));
}

TEST(BatchScheduler, KeepsTheOrderOfShapesWhenAnswersMust) {
  BatchPolicy policy = joining();
  policy.preserve_ordering = true;
  policy.delay = milliseconds(10);
  Queue queue(policy);
  queue.add({.shape = {2}});
  EXPECT_THAT(queue.begun(), IsEmpty());
  queue.add({.shape = {3}});
  queue.add({.shape = {2}});
  EXPECT_THAT(queue.begun(), ElementsAre(1));  // nothing may join it any more
}

TEST(BatchScheduler, WaitsForOthersAsLongAsItMay) {
  BatchPolicy policy = joining(4);
  policy.delay = milliseconds(10);
  Queue queue(policy);
  queue.add();
  EXPECT_THAT(queue.begun(), IsEmpty());
  EXPECT_EQ(queue.next, kStart + milliseconds(10));
  queue.now = kStart + milliseconds(5);
  queue.add();
  EXPECT_THAT(queue.after(milliseconds(9)), IsEmpty());
  EXPECT_THAT(queue.after(milliseconds(10)), ElementsAre(1, 2));
  queue.scheduler.finish(0);
  for (int i = 0; i < 4; ++i) queue.add();
  EXPECT_THAT(queue.begun(), ElementsAre(3, 4, 5, 6));  // full
}

TEST(BatchScheduler, TakesPreferredSizesAtOnce) {
  BatchPolicy policy = joining(8);
  policy.delay = milliseconds(10);
  policy.preferred = {2, 4};
  Queue queue(policy);
  queue.add();
  EXPECT_THAT(queue.begun(), IsEmpty());
  for (int i = 0; i < 4; ++i) queue.add();
  EXPECT_THAT(queue.begun(), ElementsAre(1, 2, 3, 4));
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), IsEmpty());
  EXPECT_THAT(queue.after(milliseconds(10)), ElementsAre(5));
}

TEST(BatchScheduler, AFullBatchDoesNotWaitBehindOneThatWaits) {
  BatchPolicy policy = joining(2);
  policy.delay = milliseconds(10);
  Queue queue(policy);
  queue.add({.shape = {1}});
  queue.add({.shape = {2}});
  queue.add({.shape = {2}});
  EXPECT_THAT(queue.begun(), ElementsAre(2, 3));
}

TEST(BatchScheduler, HigherLevelsGoFirst) {
  BatchPolicy policy = joining(2);
  policy.levels = 3;
  policy.default_level = 2;
  EXPECT_EQ(policy.level_of(0), 2U);
  EXPECT_EQ(policy.level_of(3), 3U);
  EXPECT_EQ(policy.level_of(4), 2U);
  Queue queue(policy);
  queue.add({.level = 3});
  queue.add({.level = 2});
  queue.add({.level = 1});
  EXPECT_THAT(queue.begun(), ElementsAre(3, 2));
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), ElementsAre(1));
}

TEST(BatchScheduler, LimitsTheQueueOfALevelAndOfAll) {
  BatchPolicy policy = joining();
  policy.levels = 2;
  policy.queues[1].max_waiting = 1;
  policy.max_waiting = 3;
  policy.max_waiting_bytes = 100;
  Queue queue(policy);
  EXPECT_TRUE(queue.scheduler.has_room(1, 1000));  // alone it may be large
  queue.add({.level = 1, .bytes = 60});
  EXPECT_FALSE(queue.scheduler.has_room(1, 0));
  EXPECT_TRUE(queue.scheduler.has_room(2, 40));
  EXPECT_FALSE(queue.scheduler.has_room(2, 41));
  queue.add({.level = 2});
  queue.add({.level = 2});
  EXPECT_FALSE(queue.scheduler.has_room(2, 0));
  EXPECT_TRUE(queue.scheduler.remove(1));
  EXPECT_TRUE(queue.scheduler.has_room(1, 100));
}

TEST(BatchScheduler, TimesOutInTheQueue) {
  Queue queue(joining(1));
  queue.add();
  queue.add({.queue_deadline = kStart + milliseconds(5)});
  EXPECT_THAT(queue.begun(), ElementsAre(1));
  EXPECT_EQ(queue.next, kStart + milliseconds(5));
  EXPECT_THAT(queue.after(milliseconds(5)), IsEmpty());
  EXPECT_THAT(queue.expired, ElementsAre(2));
  EXPECT_EQ(queue.scheduler.waiting(), 0);
}

TEST(BatchScheduler, LateOnesMayGoBehindTheOthers) {
  BatchPolicy policy = joining(1);
  policy.queue.delay = true;
  Queue queue(policy);
  queue.add();
  queue.add({.queue_deadline = kStart + milliseconds(5)});
  queue.add();
  EXPECT_THAT(queue.begun(), ElementsAre(1));
  EXPECT_THAT(queue.after(milliseconds(6)), IsEmpty());
  EXPECT_THAT(queue.expired, IsEmpty());
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), ElementsAre(3));
  queue.scheduler.finish(0);
  EXPECT_THAT(queue.begun(), ElementsAre(2));
}

TEST(BatchScheduler, TellsOfAnswersThatAreLate) {
  Queue queue(joining());
  queue.add({.deadline = kStart + milliseconds(5)});
  EXPECT_THAT(queue.begun(), ElementsAre(1));
  const BatchPlan plan = queue.scheduler.plan(kStart + milliseconds(5));
  ASSERT_EQ(plan.expired.size(), 1U);
  EXPECT_TRUE(plan.expired[0].running);
  EXPECT_FALSE(plan.next);
  queue.scheduler.finish(0);
  EXPECT_TRUE(queue.scheduler.idle());
}

TEST(BatchScheduler, RunsASequenceInItsOrderAndOneAtATime) {
  BatchPolicy policy = joining(4);
  policy.sequences = true;
  policy.max_sequences = 2;
  policy.instances = 2;
  BatchScheduler scheduler(policy);
  for (const std::uint64_t sequence : {1, 1, 2, 3}) {
    static std::uint64_t id = 0;
    scheduler.add({.id = ++id, .sequence = sequence});
  }
  BatchPlan plan = scheduler.plan(kStart);
  ASSERT_EQ(plan.batches.size(), 1U);
  EXPECT_THAT(plan.batches[0].tasks, ElementsAre(1, 3));  // no slot for 3
  scheduler.finish(plan.batches[0].instance);
  plan = scheduler.plan(kStart);
  ASSERT_EQ(plan.batches.size(), 1U);
  EXPECT_THAT(plan.batches[0].tasks, ElementsAre(2));
  scheduler.end_sequence(2);
  plan = scheduler.plan(kStart);
  ASSERT_EQ(plan.batches.size(), 1U);
  EXPECT_THAT(plan.batches[0].tasks, ElementsAre(4));
}

}  // namespace
}  // namespace tenon::serving
