#include "serving/tensors/batch_scheduler.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::serving {
namespace {

// Shapes that are looked at at the same time; those of later requests wait their turn.
constexpr std::size_t kMaxGroups = 64;

}  // namespace

/// Tasks that may run together, in order.
struct BatchScheduler::Group {
  std::vector<const TensorTask*> tasks;
  std::int64_t rows = 0;
  std::int64_t new_sequences = 0;  // that have no slot yet
  bool full = false;               // the next one of its shape has no room, or none may come
  TimePoint oldest = TimePoint::max();
};

BatchScheduler::BatchScheduler(BatchPolicy policy)
    : policy_(std::move(policy)), busy_(static_cast<std::size_t>(policy_.instances), false) {}

bool BatchScheduler::has_room(std::uint64_t level, std::int64_t bytes) const {
  if (waiting() >= policy_.max_waiting) return false;
  // One that is larger than the limit by itself may wait alone.
  if (policy_.max_waiting_bytes > 0 && bytes_ > 0 && bytes > policy_.max_waiting_bytes - bytes_)
    return false;
  const std::int64_t most = policy_.queue_of(level).max_waiting;
  const auto found = levels_.find(level);
  return most == 0 || found == levels_.end() || found->second < most;
}

void BatchScheduler::add(const TensorTask& task) {
  const Place place{task.level, false, task.id};
  if (!places_.emplace(task.id, place).second)
    fail(ErrorCode::internal, "task {} is there already", task.id);
  waiting_.emplace(place, task);
  ++levels_[task.level];
  rows_ += task.rows;
  bytes_ += task.bytes;
  if (task.queue_deadline) deadlines_.emplace(*task.queue_deadline, task.id, Due::queue);
  if (task.deadline) deadlines_.emplace(*task.deadline, task.id, Due::answer);
}

// Out of the queue, with its deadline to begin; the one to end stays.
TensorTask BatchScheduler::take(std::uint64_t id) {
  const auto place = places_.find(id);
  const auto found = waiting_.find(place->second);
  TensorTask task = std::move(found->second);
  waiting_.erase(found);
  places_.erase(place);
  const auto level = levels_.find(task.level);
  if (--level->second == 0) levels_.erase(level);
  rows_ -= task.rows;
  bytes_ -= task.bytes;
  if (task.queue_deadline) deadlines_.erase({*task.queue_deadline, id, Due::queue});
  return task;
}

bool BatchScheduler::remove(std::uint64_t id) {
  if (places_.find(id) == places_.end()) {
    const auto running = running_.find(id);
    if (running != running_.end() && running->second.deadline) {
      deadlines_.erase({*running->second.deadline, id, Due::answer});
      running->second.deadline.reset();
    }
    return false;
  }
  const TensorTask task = take(id);
  if (task.deadline) deadlines_.erase({*task.deadline, id, Due::answer});
  return true;
}

void BatchScheduler::make_late(std::uint64_t id) {
  Place& place = places_.at(id);
  auto node = waiting_.extract(place);
  place.late = true;
  node.key() = place;
  node.mapped().queue_deadline.reset();
  waiting_.insert(std::move(node));
}

void BatchScheduler::expire(TimePoint now, BatchPlan& plan) {
  while (!deadlines_.empty() && std::get<TimePoint>(*deadlines_.begin()) <= now) {
    const auto [time, id, due] = *deadlines_.begin();
    deadlines_.erase(deadlines_.begin());
    const auto place = places_.find(id);
    if (place == places_.end()) {
      running_.at(id).deadline.reset();
      plan.expired.push_back({id, true, time});
    } else if (due == Due::queue && policy_.queue_of(place->second.level).delay) {
      make_late(id);
    } else {
      remove(id);
      plan.expired.push_back({id, false, time});
    }
  }
}

std::vector<BatchScheduler::Group> BatchScheduler::groups() const {
  std::vector<Group> groups;
  std::set<std::uint64_t> seen;  // only the first task of a sequence may run
  const auto free_slots = policy_.max_sequences - static_cast<std::int64_t>(slots_.size());
  for (const auto& [place, task] : waiting_) {
    bool enters = false;
    if (task.sequence != 0) {
      const bool first = seen.insert(task.sequence).second;
      if (!first || busy_sequences_.contains(task.sequence)) continue;
      enters = !slots_.contains(task.sequence);
      if (enters && free_slots <= 0) continue;
    }
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& one) {
      return one.tasks.front()->shape == task.shape;
    });
    if (policy_.preserve_ordering && !groups.empty() && group == groups.end()) {
      groups.front().full = true;
      break;
    }
    if (group == groups.end()) {
      if (groups.size() == kMaxGroups) continue;
      groups.emplace_back();
      group = groups.end() - 1;
    } else if (group->full) {
      continue;
    } else if (!policy_.joins || task.rows > policy_.max_batch - group->rows ||
               (enters && group->new_sequences >= free_slots)) {
      group->full = true;
      continue;
    }
    group->tasks.push_back(&task);
    group->rows += task.rows;
    group->new_sequences += enters ? 1 : 0;
    group->oldest = std::min(group->oldest, task.arrival);
    group->full = !policy_.joins || group->rows >= policy_.max_batch;
    // What comes later could only begin before this one if this one did not begin now.
    if (group == groups.begin() && group->full) break;
  }
  return groups;
}

// Cuts the group to the largest preferred size that it holds.
bool BatchScheduler::begins(Group& group, TimePoint now) const {
  if (!policy_.joins) {
    group.tasks.resize(1);
    group.rows = group.tasks.front()->rows;
    return true;
  }
  if (policy_.delay.count() > 0 && now - group.oldest >= policy_.delay) return true;
  std::size_t best = 0;
  std::int64_t best_rows = 0;
  std::int64_t rows = 0;
  for (std::size_t i = 0; i < group.tasks.size(); ++i) {
    rows += group.tasks[i]->rows;
    if (std::binary_search(policy_.preferred.begin(), policy_.preferred.end(), rows)) {
      best = i + 1;
      best_rows = rows;
    }
  }
  if (best > 0) {
    group.tasks.resize(best);
    group.rows = best_rows;
    return true;
  }
  return group.full || policy_.delay.count() == 0 ||
         (policy_.enough > 0 && group.rows >= policy_.enough);
}

std::optional<BatchScheduler::Group> BatchScheduler::next_group(
    TimePoint now, std::optional<TimePoint>& next) const {
  for (Group& group : groups()) {
    if (begins(group, now)) return std::move(group);
    const TimePoint due = group.oldest + policy_.delay;
    if (!next || due < *next) next = due;
  }
  return std::nullopt;
}

void BatchScheduler::begin(const Group& group, std::size_t instance, BatchPlan& plan) {
  BatchPlan::Batch batch{instance, {}, group.rows};
  for (const TensorTask* task : group.tasks) batch.tasks.push_back(task->id);
  for (const std::uint64_t id : batch.tasks) {
    const TensorTask task = take(id);
    running_[id] = {instance, task.sequence, task.deadline};
    if (task.sequence != 0) {
      slots_.insert(task.sequence);
      busy_sequences_.insert(task.sequence);
    }
  }
  busy_[instance] = true;
  plan.batches.push_back(std::move(batch));
}

BatchPlan BatchScheduler::plan(TimePoint now) {
  BatchPlan plan;
  expire(now, plan);
  for (std::size_t instance = 0; instance < busy_.size(); ++instance) {
    if (busy_[instance]) continue;
    if (waiting_.empty()) break;
    const auto group = next_group(now, plan.next);
    if (!group) break;
    plan.next.reset();
    begin(*group, instance, plan);
  }
  if (!deadlines_.empty()) {
    const TimePoint due = std::get<TimePoint>(*deadlines_.begin());
    if (!plan.next || due < *plan.next) plan.next = due;
  }
  return plan;
}

void BatchScheduler::finish(std::size_t instance) {
  std::erase_if(running_, [&](const auto& entry) {
    const auto& [id, running] = entry;
    if (running.instance != instance) return false;
    if (running.deadline) deadlines_.erase({*running.deadline, id, Due::answer});
    if (running.sequence != 0) busy_sequences_.erase(running.sequence);
    return true;
  });
  busy_[instance] = false;
}

void BatchScheduler::end_sequence(std::uint64_t sequence) { slots_.erase(sequence); }

}  // namespace tenon::serving
