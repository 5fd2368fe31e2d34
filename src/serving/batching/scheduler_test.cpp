// The scheduler on a clock of its own and on real page tables, single cases and random histories.
#include "serving/batching/scheduler.h"

#include <algorithm>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serving/batching/page_pool.h"

namespace tenon::serving {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int kPageTokens = 4;

/// An engine without a model: carries out plans on a page table, and checks each.
class Simulation {
 public:
  Simulation(SchedulerLimits limits, std::int32_t pages, bool share = true)
      : limits_(limits),
        scheduler_(limits),
        table_(pages, kPageTokens),
        pool_(table_, share, [this](TaskId id) { return std::span(tokens_.at(id)); }) {}

  TaskId add(Task task, std::vector<std::int32_t> prompt, std::int64_t answer) {
    task.id = ++last_;
    task.arrival = now;
    task.prompt_tokens = static_cast<std::int64_t>(prompt.size());
    tokens_[task.id] = std::move(prompt);
    answers_[task.id] = answer;
    scheduler_.add(task);
    return task.id;
  }
  TaskId add(std::int64_t prompt, std::int64_t answer, Task task = {}) {
    // Prompts of different tasks differ in the first token.
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(prompt), 7);
    tokens[0] = static_cast<std::int32_t>(1000 + last_);
    return add(std::move(task), std::move(tokens), answer);
  }

  void cancel(TaskId id) {
    ended.push_back(id);
    forget(id);
  }

  Plan step() {
    Plan plan = scheduler_.plan(now, pool_);
    for (const auto& expired : plan.expired) {
      ended.push_back(expired.task);
      timed_out.push_back(expired.task);
      forget(expired.task);
    }
    for (const TaskId id : plan.preempted) pool_.close(id);
    for (const auto& admission : plan.admitted) {
      EXPECT_EQ(pool_.open(admission.task), admission.prefix_tokens);
    }
    EXPECT_TRUE(pool_.make_room(plan.chunks));
    std::int64_t total = 0;
    std::set<TaskId> seen;
    for (const auto& chunk : plan.chunks) {
      EXPECT_GT(chunk.tokens, 0);
      EXPECT_TRUE(seen.insert(chunk.task).second);
      total += chunk.tokens;
    }
    EXPECT_LE(total, limits_.step_tokens);
    for (const auto& chunk : plan.chunks) compute(chunk);
    now += milliseconds(1);
    return plan;
  }

  void set_paused(TaskId id, bool paused) { scheduler_.set_paused(id, paused); }
  Scheduler& scheduler() { return scheduler_; }
  PagePool& pool() { return pool_; }
  const session::PageTable& table() const { return table_; }
  std::int64_t live() const { return static_cast<std::int64_t>(tokens_.size()); }
  TaskId last() const { return last_; }
  std::int64_t age(TaskId id) const { return static_cast<std::int64_t>(tokens_.at(id).size()); }
  bool is_live(TaskId id) const { return tokens_.contains(id); }

  TimePoint now{};
  std::vector<TaskId> ended;
  std::vector<TaskId> timed_out;
  std::int64_t computed = 0;

 private:
  void compute(const Plan::Chunk& chunk) {
    std::vector<session::PageTable::Copy> copies;
    const auto sequence = pool_.sequence(chunk.task);
    ASSERT_TRUE(table_.extend(sequence, chunk.tokens, copies));
    EXPECT_TRUE(copies.empty());
    computed += chunk.tokens;
    auto& tokens = tokens_.at(chunk.task);
    const auto length = static_cast<std::size_t>(table_.length(sequence));
    ASSERT_LE(length, tokens.size());
    ASSERT_EQ(chunk.last, length == tokens.size());
    pool_.keep(chunk.task);
    if (!chunk.last) return;
    tokens.push_back(static_cast<std::int32_t>(chunk.task % 97));
    scheduler_.grow(chunk.task);
    if (--answers_.at(chunk.task) > 0) return;
    ended.push_back(chunk.task);
    forget(chunk.task);
  }
  void forget(TaskId id) {
    scheduler_.remove(id);
    pool_.close(id);
    tokens_.erase(id);
    answers_.erase(id);
  }

  SchedulerLimits limits_;
  Scheduler scheduler_;
  session::PageTable table_;
  std::map<TaskId, std::vector<std::int32_t>> tokens_;
  std::map<TaskId, std::int64_t> answers_;  // tokens still to be chosen
  PagePool pool_;
  TaskId last_ = 0;
};

SchedulerLimits small() {
  SchedulerLimits limits;
  limits.max_running = 4;
  limits.max_waiting = 8;
  limits.step_tokens = 10;
  limits.page_tokens = kPageTokens;
  return limits;
}

std::vector<TaskId> tasks_of(const std::vector<Plan::Chunk>& chunks) {
  std::vector<TaskId> tasks;
  for (const auto& chunk : chunks) tasks.push_back(chunk.task);
  return tasks;
}

std::vector<std::int64_t> tokens_of(const std::vector<Plan::Chunk>& chunks) {
  std::vector<std::int64_t> tokens;
  for (const auto& chunk : chunks) tokens.push_back(chunk.tokens);
  return tokens;
}

TEST(Scheduler, DecodesFirstAndFillsTheBudgetWithPieces) {
  Simulation simulation(small(), 100);
  const TaskId a = simulation.add(3, 5);
  simulation.step();
  const TaskId b = simulation.add(25, 2);
  Plan plan = simulation.step();
  EXPECT_THAT(tasks_of(plan.chunks), ElementsAre(a, b));
  EXPECT_THAT(tokens_of(plan.chunks), ElementsAre(1, 9));
  EXPECT_FALSE(plan.chunks[1].last);
  plan = simulation.step();
  EXPECT_THAT(tokens_of(plan.chunks), ElementsAre(1, 9));
  plan = simulation.step();
  EXPECT_THAT(tokens_of(plan.chunks), ElementsAre(1, 7));
  EXPECT_TRUE(plan.chunks[1].last);
}

TEST(Scheduler, AdmitsByPriorityThenShareThenArrival) {
  SchedulerLimits limits = small();
  limits.max_running = 1;
  Simulation simulation(limits, 100);
  Task greedy{.client = "greedy"};
  simulation.add(8, 1, greedy);
  simulation.step();
  const TaskId second = simulation.add(8, 1, greedy);
  const TaskId keep = simulation.add(8, 1, greedy);
  const TaskId other = simulation.add(8, 1, {.client = "other"});
  const TaskId urgent = simulation.add(8, 1, {.priority = 1, .client = "greedy"});
  for (int i = 0; i < 4; ++i) simulation.step();
  // `other` comes with the share of the least served, which is greedy: arrival decides; then it is
  // behind.
  EXPECT_THAT(simulation.ended, ElementsAre(1, urgent, other, second, keep));
}

TEST(Scheduler, NobodyWaitsForEverBehindHigherPriorities) {
  SchedulerLimits limits = small();
  limits.max_running = 1;
  limits.aging = milliseconds(10);
  Simulation simulation(limits, 100);
  const TaskId humble = simulation.add(4, 1, {.priority = 0});
  simulation.add(4, 1, {.priority = 3});
  for (int i = 0; i < 100 && simulation.is_live(humble); ++i) {
    simulation.step();
    simulation.add(4, 1, {.priority = 3});
    while (!simulation.scheduler().has_room(1)) simulation.cancel(simulation.last());
  }
  EXPECT_FALSE(simulation.is_live(humble));
}

TEST(Scheduler, TheYoungestOfTheLowestPriorityGivesItsPages) {
  Simulation simulation(small(), 6, false);
  const TaskId old = simulation.add(6, 12);                    // 2 pages now, 5 in the end
  const TaskId low = simulation.add(3, 12, {.priority = -1});  // 1 page now, 4 in the end
  std::vector<TaskId> preempted;
  int steps = 0;
  for (; simulation.live() > 0 && steps < 100; ++steps) {
    const Plan plan = simulation.step();
    preempted.insert(preempted.end(), plan.preempted.begin(), plan.preempted.end());
  }
  EXPECT_THAT(simulation.ended, ElementsAre(old, low));
  ASSERT_FALSE(preempted.empty());
  EXPECT_EQ(std::set<TaskId>(preempted.begin(), preempted.end()), (std::set<TaskId>{low}));
}

TEST(Scheduler, QueueTimeoutsAndDeadlinesFireOnTime) {
  SchedulerLimits limits = small();
  limits.max_running = 1;
  Simulation simulation(limits, 100);
  const TimePoint start = simulation.now;
  const TaskId runs = simulation.add(4, 1000, {.deadline = start + milliseconds(50)});
  simulation.step();
  const TaskId waits = simulation.add(4, 1, {.queue_deadline = start + milliseconds(20)});
  EXPECT_EQ(simulation.scheduler().next_deadline(), start + milliseconds(20));
  while (simulation.now <= start + milliseconds(19)) simulation.step();
  EXPECT_THAT(simulation.timed_out, IsEmpty());
  const Plan plan = simulation.step();
  ASSERT_EQ(plan.expired.size(), 1U);
  EXPECT_TRUE(plan.expired[0].queued);
  EXPECT_THAT(simulation.timed_out, ElementsAre(waits));
  EXPECT_EQ(simulation.scheduler().next_deadline(), start + milliseconds(50));
  while (simulation.now <= start + milliseconds(50)) simulation.step();
  EXPECT_THAT(simulation.timed_out, ElementsAre(waits, runs));
  EXPECT_EQ(simulation.scheduler().next_deadline(), std::nullopt);
}

Task with_priority(int priority) {
  Task task;
  task.priority = priority;
  return task;
}

TEST(Scheduler, ALowerPriorityGivesItsPlaceToAWaitingTask) {
  SchedulerLimits limits;
  limits.max_running = 2;
  limits.page_tokens = kPageTokens;
  Simulation simulation(limits, 64);
  const TaskId first = simulation.add(4, 8, with_priority(1));
  const TaskId second = simulation.add(4, 8);
  const TaskId third = simulation.add(4, 8);
  simulation.step();
  const TaskId urgent = simulation.add(4, 8, with_priority(5));
  const Plan plan = simulation.step();
  EXPECT_THAT(plan.preempted, ElementsAre(second));
  ASSERT_EQ(plan.admitted.size(), 1U);
  EXPECT_EQ(plan.admitted[0].task, urgent);
  // Equal ones wait, and so does whoever has only waited long.
  simulation.add(4, 8, with_priority(1));
  simulation.now += std::chrono::hours(1);
  EXPECT_THAT(simulation.step().preempted, IsEmpty());
  for (int i = 0; i < 100; ++i) simulation.step();
  EXPECT_EQ(simulation.ended.size(), 5U);
  EXPECT_THAT(simulation.ended, ::testing::IsSupersetOf({first, second, third, urgent}));
}

TEST(Scheduler, ALowerPriorityGivesItsPagesOnlyWhenTheyAreEnough) {
  SchedulerLimits limits;
  limits.page_tokens = kPageTokens;
  Simulation simulation(limits, 8);
  simulation.add(12, 3, with_priority(3));   // 4 pages
  const TaskId low = simulation.add(12, 3);  // 4 pages
  simulation.step();
  const TaskId large = simulation.add(20, 3, with_priority(2));  // 6 pages: too many
  Plan plan = simulation.step();
  EXPECT_THAT(plan.preempted, IsEmpty());
  EXPECT_THAT(plan.admitted, IsEmpty());
  simulation.cancel(large);
  const TaskId small = simulation.add(8, 3, with_priority(2));
  plan = simulation.step();
  EXPECT_THAT(plan.preempted, ElementsAre(low));
  ASSERT_EQ(plan.admitted.size(), 1U);
  EXPECT_EQ(plan.admitted[0].task, small);
  for (int i = 0; i < 100; ++i) simulation.step();
  EXPECT_EQ(simulation.ended.size(), 4U);
}

TEST(Scheduler, ALongPromptGivesItsTokensToAHigherPriority) {
  SchedulerLimits limits;
  limits.max_running = 4;
  limits.step_tokens = 8;
  limits.page_tokens = kPageTokens;
  Simulation simulation(limits, 64);
  const TaskId lengthy = simulation.add(80, 2);
  simulation.step();
  const TaskId urgent = simulation.add(6, 2, with_priority(1));
  const Plan plan = simulation.step();
  EXPECT_THAT(plan.preempted, IsEmpty());
  ASSERT_EQ(plan.chunks.size(), 1U);
  EXPECT_EQ(plan.chunks[0].task, urgent);
  for (int i = 0; i < 100; ++i) simulation.step();
  EXPECT_THAT(simulation.ended, ElementsAre(urgent, lengthy));
}

TEST(Scheduler, APausedTaskHoldsNobodyUp) {
  SchedulerLimits limits = small();
  limits.max_running = 1;
  Simulation simulation(limits, 4, false);
  const TaskId slow = simulation.add(8, 4);
  simulation.step();
  simulation.set_paused(slow, true);
  const std::int32_t before = simulation.table().free_pages();
  EXPECT_THAT(simulation.step().chunks, IsEmpty());
  EXPECT_EQ(simulation.table().free_pages(), before) << "it keeps its pages";
  const TaskId small_one = simulation.add(3, 2);
  EXPECT_THAT(simulation.step().preempted, IsEmpty());
  simulation.step();
  EXPECT_THAT(simulation.ended, ElementsAre(small_one));
  const TaskId big = simulation.add(10, 2);  // needs the pages
  EXPECT_THAT(simulation.step().preempted, ElementsAre(slow));
  while (simulation.is_live(big)) simulation.step();
  EXPECT_THAT(simulation.step().chunks, IsEmpty());
  simulation.set_paused(slow, false);
  for (int i = 0; i < 10 && simulation.is_live(slow); ++i) simulation.step();
  EXPECT_THAT(simulation.ended, ElementsAre(small_one, big, slow));
}

TEST(Scheduler, TheQueueHasALimit) {
  Simulation simulation(small(), 100);
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(simulation.scheduler().has_room(1));
    simulation.add(4, 4);
  }
  EXPECT_FALSE(simulation.scheduler().has_room(1));
  simulation.step();  // two start
  EXPECT_TRUE(simulation.scheduler().has_room(2));
  EXPECT_FALSE(simulation.scheduler().has_room(4));
}

TEST(Scheduler, SiblingsShareThePromptOfTheFirst) {
  Simulation simulation(small(), 100);
  const std::vector<std::int32_t> prompt(9, 5);
  const TaskId first = simulation.add({}, prompt, 4);
  simulation.add({.after = first}, prompt, 4);
  EXPECT_EQ(simulation.step().admitted.size(), 1U);
  const Plan plan = simulation.step();
  ASSERT_EQ(plan.admitted.size(), 1U);
  EXPECT_EQ(plan.admitted[0].prefix_tokens, 8);
  EXPECT_THAT(tokens_of(plan.chunks), ElementsAre(1, 1));
}

TEST(Scheduler, ReplaysSinglyWhereTheCacheDependsOnLengths) {
  SchedulerLimits limits = small();
  limits.replay_singly = true;
  Simulation simulation(limits, 5, false);
  simulation.add(6, 10);
  const TaskId young = simulation.add(4, 8);
  bool replayed = false;
  std::set<TaskId> once;
  for (int i = 0; i < 200 && simulation.live() > 0; ++i) {
    const Plan plan = simulation.step();
    for (const TaskId id : plan.preempted) once.insert(id);
    for (const auto& chunk : plan.chunks) {
      if (!once.contains(chunk.task)) continue;
      EXPECT_LE(chunk.tokens, 4) << "the prompt, or one token";
      replayed = replayed || !chunk.last;
    }
  }
  EXPECT_THAT(once, UnorderedElementsAre(young));
  EXPECT_TRUE(replayed);
  EXPECT_EQ(simulation.live(), 0);
}

struct Random {
  std::mt19937_64 engine;
  std::int64_t below(std::int64_t end) {
    return static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(end));
  }
  bool chance(std::int64_t percent) { return below(100) < percent; }
};

Task random_task(Random& random, const Simulation& simulation) {
  Task task;
  task.priority = static_cast<int>(random.below(3)) - 1;
  task.client = std::string(1, static_cast<char>('a' + random.below(3)));
  if (random.chance(10)) task.queue_deadline = simulation.now + milliseconds(random.below(50));
  if (random.chance(10)) task.deadline = simulation.now + milliseconds(random.below(200));
  if (random.chance(10) && simulation.last() > 0) task.after = simulation.last();
  return task;
}

// Prompts begin alike, so that they share pages.
std::vector<std::int32_t> random_prompt(Random& random) {
  std::vector<std::int32_t> prompt(static_cast<std::size_t>(1 + random.below(30)),
                                   static_cast<std::int32_t>(random.below(2)));
  if (random.chance(50)) prompt.back() = 9;
  return prompt;
}

// Whatever comes: budgets hold (checked in every step), every task ends once, all end
// once arrivals stop, and every page is free then.
TEST(Scheduler, RandomHistories) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE(seed);
    Random random{std::mt19937_64(seed)};
    SchedulerLimits limits = small();
    limits.aging = milliseconds(100);
    limits.max_running = 1 + random.below(6);
    limits.step_tokens = limits.max_running + random.below(20);
    limits.replay_singly = random.chance(20);
    // The longest sequence has 30 + 12 tokens and looks one ahead.
    const bool share = !limits.replay_singly && random.chance(70);
    Simulation simulation(limits, static_cast<std::int32_t>(11 + random.below(20)), share);
    const auto live = [&] {
      std::vector<TaskId> ids;
      for (TaskId id = 1; id <= simulation.last(); ++id) {
        if (simulation.is_live(id)) ids.push_back(id);
      }
      return ids;
    };
    for (int step = 0; step < 150; ++step) {
      while (random.chance(35) && simulation.scheduler().has_room(1)) {
        simulation.add(random_task(random, simulation), random_prompt(random),
                       1 + random.below(12));
      }
      for (const TaskId id : live()) {
        if (random.chance(2)) simulation.cancel(id);
        if (random.chance(5)) simulation.set_paused(id, random.chance(50));
      }
      simulation.step();
      if (testing::Test::HasFailure()) return;
    }
    for (const TaskId id : live()) simulation.set_paused(id, false);
    for (int step = 0; step < 5000 && simulation.live() > 0; ++step) simulation.step();
    ASSERT_EQ(simulation.live(), 0) << "somebody starves";
    std::sort(simulation.ended.begin(), simulation.ended.end());
    ASSERT_EQ(simulation.ended.size(), simulation.last());
    for (std::size_t i = 0; i < simulation.ended.size(); ++i) {
      ASSERT_EQ(simulation.ended[i], i + 1) << "not answered exactly once";
    }
    EXPECT_EQ(simulation.scheduler().running(), 0);
    EXPECT_EQ(simulation.pool().available(), simulation.table().total_pages());
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace tenon::serving
