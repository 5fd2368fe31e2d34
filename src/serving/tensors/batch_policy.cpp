#include "serving/tensors/batch_policy.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::serving {
namespace {

constexpr std::uint64_t kLongest = 24ULL * 3600 * 1000000;

microseconds duration(std::uint64_t value, const char* field) {
  if (value > kLongest)
    bad_input("{} is {}, at most {} (a day) is possible", field, value, kLongest);
  return microseconds(static_cast<std::int64_t>(value));
}

QueuePolicy queue_policy(const inference::ModelQueuePolicy& from) {
  QueuePolicy policy;
  policy.max_waiting = from.max_queue_size();
  policy.timeout = duration(from.default_timeout_microseconds(), "default_timeout_microseconds");
  policy.allow_override = from.allow_timeout_override();
  policy.delay = from.timeout_action() == inference::ModelQueuePolicy::DELAY;
  return policy;
}

template <typename Sizes>
std::vector<std::int64_t> preferred_sizes(const Sizes& sizes, std::int64_t max_batch) {
  std::vector<std::int64_t> made(sizes.begin(), sizes.end());
  for (const std::int64_t size : made) {
    if (size < 1 || size > max_batch)
      bad_input("preferred_batch_size {}: must be 1 to max_batch_size, which is {}", size,
                max_batch);
  }
  std::sort(made.begin(), made.end());
  return made;
}

void read_dynamic(const inference::ModelDynamicBatching& from, BatchPolicy& policy) {
  policy.joins = policy.max_batch > 1;
  policy.preferred = preferred_sizes(from.preferred_batch_size(), policy.max_batch);
  policy.delay = duration(from.max_queue_delay_microseconds(), "max_queue_delay_microseconds");
  policy.preserve_ordering = from.preserve_ordering();
  policy.levels = std::max<std::uint64_t>(from.priority_levels(), 1);
  policy.default_level = std::max<std::uint64_t>(from.default_priority_level(), 1);
  if (from.priority_levels() > 0 &&
      (from.default_priority_level() < 1 || from.default_priority_level() > policy.levels))
    bad_input("default_priority_level is {}, must be 1 to priority_levels, which is {}",
              from.default_priority_level(), policy.levels);
  if (policy.levels > 1 && policy.preserve_ordering)
    bad_input("only one priority level is allowed when preserve_ordering is true; there are {}",
              policy.levels);
  if (from.has_default_queue_policy()) policy.queue = queue_policy(from.default_queue_policy());
  for (const auto& [level, queue] : from.priority_queue_policy()) {
    if (level < 1 || level > policy.levels)
      bad_input("priority_queue_policy {}: must be 1 to priority_levels, which is {}", level,
                policy.levels);
    policy.queues.emplace(level, queue_policy(queue));
  }
}

void read_sequences(const inference::ModelSequenceBatching& from, BatchPolicy& policy) {
  policy.sequences = true;
  policy.joins = policy.max_batch > 1;
  policy.sequence_idle =
      from.max_sequence_idle_microseconds() == 0
          ? kSequenceIdle
          : duration(from.max_sequence_idle_microseconds(), "max_sequence_idle_microseconds");
  policy.max_sequences = policy.max_batch * policy.instances;
  if (from.has_oldest()) {
    const auto& oldest = from.oldest();
    policy.preferred = preferred_sizes(oldest.preferred_batch_size(), policy.max_batch);
    policy.delay = duration(oldest.max_queue_delay_microseconds(), "max_queue_delay_microseconds");
    policy.preserve_ordering = oldest.preserve_ordering();
    if (oldest.max_candidate_sequences() < 0)
      bad_input("max_candidate_sequences is {}, must be positive",
                oldest.max_candidate_sequences());
    if (oldest.max_candidate_sequences() > 0)
      policy.max_sequences = std::int64_t{oldest.max_candidate_sequences()} * policy.instances;
    return;
  }
  const auto& direct = from.direct();
  const double share = direct.minimum_slot_utilization();
  if (!(share >= 0 && share <= 1))
    bad_input("minimum_slot_utilization is {}, must be 0 to 1", share);
  policy.delay = duration(direct.max_queue_delay_microseconds(), "max_queue_delay_microseconds");
  policy.enough = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::ceil(share * static_cast<double>(policy.max_batch))));
}

}  // namespace

std::uint64_t BatchPolicy::level_of(std::uint64_t priority) const {
  return priority == 0 || priority > levels ? default_level : priority;
}

const QueuePolicy& BatchPolicy::queue_of(std::uint64_t level) const {
  const auto found = queues.find(level);
  return found == queues.end() ? queue : found->second;
}

int instances_of(const inference::ModelConfig& config) {
  std::int64_t count = 0;
  for (const auto& group : config.instance_group()) {
    if (group.count() < 0) bad_input("instance_group count is {}, must be positive", group.count());
    count += std::max(1, group.count());
  }
  if (count > kMaxInstances)
    bad_input("instance_group asks for {} instances, at most {} are possible", count,
              kMaxInstances);
  return std::max(1, static_cast<int>(count));
}

BatchPolicy batch_policy(const inference::ModelConfig& config, std::int64_t max_waiting,
                         std::int64_t max_waiting_bytes) {
  BatchPolicy policy;
  policy.max_batch = std::max(1, config.max_batch_size());
  policy.instances = instances_of(config);
  policy.max_waiting_bytes = max_waiting_bytes;
  if (config.has_dynamic_batching()) read_dynamic(config.dynamic_batching(), policy);
  if (config.has_sequence_batching()) read_sequences(config.sequence_batching(), policy);
  std::int64_t asked = policy.queue.max_waiting;
  for (const auto& [level, queue] : policy.queues) asked += queue.max_waiting;
  policy.max_waiting = std::max(max_waiting, asked);
  return policy;
}

}  // namespace tenon::serving
