// Random histories of the scheduler, which must keep its promises.
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "serving/tensors/batch_scheduler.h"

namespace tenon::serving {
namespace {

using std::chrono::milliseconds;

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
    for (const auto& [id, running, due] : plan.expired) {
      const TensorTask& task = tasks_[id];
      const bool by_queue = !running && task.queue_deadline && *task.queue_deadline <= now_;
      EXPECT_TRUE(by_queue || (task.deadline && *task.deadline <= now_)) << "too early";
      EXPECT_TRUE(due <= now_ && (due == task.queue_deadline || due == task.deadline));
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
  TimePoint now_{};
  std::optional<TimePoint> next_;
  std::map<std::uint64_t, TensorTask> tasks_;
  std::set<std::uint64_t> waiting_, ended_, late_, slots_;
  std::map<std::size_t, std::vector<std::uint64_t>> busy_;
  bool is_freed_ = false;
};

TEST(BatchScheduler, KeepsItsPromisesInTenThousandHistories) {
  for (std::uint64_t seed = 0; seed < 10000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History(seed).run();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace tenon::serving
