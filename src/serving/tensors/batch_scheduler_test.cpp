// The scheduler on a clock of its own: single cases, and random histories that must keep its
// promises.
#include "serving/tensors/batch_scheduler.h"

#include <random>

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

/// A random history: whatever happens, each task ends once, in a batch that the policy allows.
class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed), policy_(some_policy()), queue_(policy_) {}

  void run() {
    for (int event = 0; event < 60; ++event) happen();
    // Nothing more comes: everything must end, at times that the plans tell.
    for (int round = 0; !queue_.idle(); ++round) {
      ASSERT_LT(round, 1000) << "tasks stay for ever";
      if (busy_.empty()) {
        ASSERT_TRUE(next_) << "nothing runs, and no time is told";
        now_ = std::max(now_, *next_);
      } else {
        finish();
      }
      plan();
    }
    EXPECT_EQ(ended_.size(), tasks_.size());
  }

 private:
  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }

  BatchPolicy some_policy() {
    BatchPolicy policy;
    policy.max_batch = 1 + below(8);
    policy.joins = below(4) > 0;
    policy.delay = milliseconds(below(3) * 5);
    policy.instances = 1 + below(3);
    policy.max_waiting = 10;
    if (below(2) > 0) policy.preferred = {1 + below(static_cast<int>(policy.max_batch))};
    policy.sequences = below(3) == 0;
    policy.max_sequences = 1 + below(4);
    if (policy.sequences) return policy;
    policy.preserve_ordering = below(3) == 0;
    policy.levels = policy.preserve_ordering ? 1 : 1 + static_cast<std::uint64_t>(below(3));
    policy.queue.delay = below(2) > 0;
    return policy;
  }

  void happen() {
    switch (below(5)) {
      case 0:
      case 1:
        arrive();
        break;
      case 2:
        now_ += milliseconds(below(8));
        break;
      case 3:
        if (!busy_.empty()) finish();
        break;
      default:
        cancel();
    }
    plan();
  }

  void arrive() {
    TensorTask task;
    task.id = tasks_.size() + 1;
    task.level = 1 + static_cast<std::uint64_t>(below(static_cast<int>(policy_.levels)));
    task.rows = policy_.sequences ? 1 : 1 + below(static_cast<int>(policy_.max_batch) + 1);
    task.shape = {below(2)};
    task.arrival = now_;
    if (!policy_.sequences && below(3) == 0) task.queue_deadline = now_ + milliseconds(below(20));
    if (below(4) == 0) task.deadline = now_ + milliseconds(below(40));
    if (policy_.sequences) task.sequence = 1 + static_cast<std::uint64_t>(below(5));
    if (!queue_.has_room(task.level, 0)) {
      EXPECT_GE(queue_.waiting(), policy_.max_waiting);
      return;
    }
    queue_.add(task);
    tasks_[task.id] = task;
    waiting_.insert(task.id);
  }

  void cancel() {
    if (tasks_.empty()) return;
    const auto id = static_cast<std::uint64_t>(1 + below(static_cast<int>(tasks_.size())));
    const bool waits = waiting_.erase(id) > 0;
    EXPECT_EQ(queue_.remove(id), waits);
    if (waits) end(id);
  }

  void end(std::uint64_t id) {
    EXPECT_TRUE(ended_.insert(id).second) << id << " ended twice";
    const std::uint64_t sequence = tasks_[id].sequence;
    if (sequence == 0) return;
    for (const auto& [other, task] : tasks_) {
      if (task.sequence == sequence && ended_.count(other) == 0) return;
    }
    queue_.end_sequence(sequence);
    is_freed_ |= slots_.erase(sequence) > 0;
  }

  void finish() {
    auto at = std::next(busy_.begin(), below(static_cast<int>(busy_.size())));
    const auto batch = *at;
    busy_.erase(at);
    queue_.finish(batch.first);
    for (const auto id : batch.second) {
      if (ended_.count(id) == 0) end(id);
    }
  }

  // A slot that becomes free is a reason to plan again.
  void plan() {
    do {
      is_freed_ = false;
      plan_once();
    } while (is_freed_);
  }

  void plan_once() {
    const BatchPlan plan = queue_.plan(now_);
    next_ = plan.next;
    for (const auto& [id, running] : plan.expired) {
      const TensorTask& task = tasks_[id];
      const bool by_queue = !running && task.queue_deadline && *task.queue_deadline <= now_;
      EXPECT_TRUE(by_queue || (task.deadline && *task.deadline <= now_)) << "too early";
      EXPECT_EQ(waiting_.erase(id), running ? 0U : 1U);
      late_.insert(id);
      if (!running) end(id);
    }
    for (const std::uint64_t id : waiting_) {
      const TensorTask& task = tasks_[id];
      EXPECT_FALSE(task.deadline && *task.deadline <= now_) << "not told in time";
      EXPECT_FALSE(!policy_.queue.delay && task.queue_deadline && *task.queue_deadline <= now_);
    }
    for (const auto& batch : plan.batches) check(batch);
    EXPECT_LE(static_cast<std::int64_t>(slots_.size()),
              std::max<std::int64_t>(policy_.max_sequences, 0));
    EXPECT_TRUE(!plan.next || *plan.next > now_);
  }

  void check(const BatchPlan::Batch& batch) {
    EXPECT_TRUE(busy_.emplace(batch.instance, batch.tasks).second) << "a busy instance";
    std::int64_t rows = 0;
    std::set<std::uint64_t> sequences;
    for (const std::uint64_t id : batch.tasks) {
      const TensorTask& task = tasks_[id];
      EXPECT_EQ(waiting_.erase(id), 1U) << "begun twice";
      EXPECT_EQ(task.shape, tasks_[batch.tasks.front()].shape);
      rows += task.rows;
      if (task.sequence == 0) continue;
      slots_.insert(task.sequence);
      EXPECT_TRUE(sequences.insert(task.sequence).second) << "twice in one run";
      for (const auto& [other, earlier] : tasks_) {
        const bool before = other < id && earlier.sequence == task.sequence;
        EXPECT_TRUE(!before || ended_.count(other) == 1) << "out of order";
      }
    }
    EXPECT_EQ(rows, batch.rows);
    EXPECT_TRUE(batch.tasks.size() == 1 || (policy_.joins && rows <= policy_.max_batch));
    if (!policy_.preserve_ordering || policy_.queue.delay) return;
    for (const std::uint64_t id : waiting_) EXPECT_GT(id, batch.tasks.back()) << "overtaken";
  }

  std::mt19937_64 random_;
  BatchPolicy policy_;
  BatchScheduler queue_;
  TimePoint now_ = kStart;
  std::optional<TimePoint> next_;
  std::map<std::uint64_t, TensorTask> tasks_;
  std::set<std::uint64_t> waiting_, ended_, late_, slots_;
  std::map<std::size_t, Ids> busy_;
  bool is_freed_ = false;
};

TEST(BatchScheduler, KeepsItsPromisesInTenThousandHistories) {
  for (std::uint64_t seed = 0; seed < 10000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History(seed).run();
    if (testing::Test::HasFailure()) return;
  }
}

inference::ModelConfig config_of(int max_batch) {
  inference::ModelConfig config;
  config.set_max_batch_size(max_batch);
  return config;
}

TEST(BatchPolicy, IsThatOfTheConfiguration) {
  inference::ModelConfig config = config_of(8);
  config.add_instance_group()->set_count(2);
  auto& dynamic = *config.mutable_dynamic_batching();
  dynamic.add_preferred_batch_size(8);
  dynamic.add_preferred_batch_size(4);
  dynamic.set_max_queue_delay_microseconds(100);
  dynamic.set_priority_levels(2);
  dynamic.set_default_priority_level(2);
  auto& queue = (*dynamic.mutable_priority_queue_policy())[1];
  queue.set_max_queue_size(100);
  queue.set_default_timeout_microseconds(7);
  queue.set_timeout_action(inference::ModelQueuePolicy::DELAY);
  const BatchPolicy policy = batch_policy(config, 64, 0);
  EXPECT_EQ(policy.max_batch, 8);
  EXPECT_EQ(policy.instances, 2);
  EXPECT_TRUE(policy.joins);
  EXPECT_THAT(policy.preferred, ElementsAre(4, 8));
  EXPECT_EQ(policy.delay, microseconds(100));
  EXPECT_EQ(policy.default_level, 2U);
  EXPECT_EQ(policy.max_waiting, 100);
  EXPECT_EQ(policy.queue_of(1).timeout, microseconds(7));
  EXPECT_TRUE(policy.queue_of(1).delay);
  EXPECT_FALSE(policy.queue_of(2).delay);
}

TEST(BatchPolicy, OfSequencesCountsSlots) {
  inference::ModelConfig config = config_of(4);
  config.add_instance_group()->set_count(2);
  config.mutable_sequence_batching()->mutable_direct()->set_minimum_slot_utilization(0.5);
  BatchPolicy policy = batch_policy(config, 64, 0);
  EXPECT_EQ(policy.max_sequences, 8);
  EXPECT_EQ(policy.enough, 2);
  EXPECT_EQ(policy.sequence_idle, kSequenceIdle);
  config.mutable_sequence_batching()->mutable_oldest()->set_max_candidate_sequences(3);
  policy = batch_policy(config, 64, 0);
  EXPECT_EQ(policy.max_sequences, 6);
}

TEST(BatchPolicy, RefusesWhatIsOutOfRange) {
  inference::ModelConfig config = config_of(4);
  config.mutable_dynamic_batching()->add_preferred_batch_size(5);
  EXPECT_THROW(batch_policy(config, 64, 0), Error);
  config = config_of(4);
  config.mutable_dynamic_batching()->set_priority_levels(2);
  EXPECT_THROW(batch_policy(config, 64, 0), Error);  // no default level
  config.mutable_dynamic_batching()->set_default_priority_level(1);
  EXPECT_NO_THROW(batch_policy(config, 64, 0));
  config.mutable_dynamic_batching()->set_preserve_ordering(true);
  EXPECT_THROW(batch_policy(config, 64, 0), Error);
  config = config_of(4);
  config.add_instance_group()->set_count(1000000);
  EXPECT_THROW(batch_policy(config, 64, 0), Error);
}

}  // namespace
}  // namespace tenon::serving
