// How requests of plain tensors wait and share runs: what a configuration says, as plain numbers.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include <model_config.pb.h>

namespace tenon::serving {

using std::chrono::microseconds;

/// Of the requests of one priority level.
struct QueuePolicy {
  std::int64_t max_waiting = 0;  ///< 0: only the limit of the whole model
  microseconds timeout{0};       ///< to have begun by then; 0: none
  bool allow_override = false;   ///< a request may shorten it
  bool delay = false;            ///< who is late goes behind those who are not, instead of failing
};

struct BatchPolicy {
  std::int64_t max_batch = 1;           ///< rows of one run
  bool joins = false;                   ///< several requests may share a run
  std::vector<std::int64_t> preferred;  ///< rows, ascending: a batch that has so many goes at once
  microseconds delay{0};                ///< that a request waits for others to join
  std::int64_t enough = 0;              ///< with so many rows it waits no longer; 0: no such number
  bool preserve_ordering = false;       ///< answers leave in the order of arrival
  std::uint64_t levels = 1;             ///< priorities 1 to levels, 1 first
  std::uint64_t default_level = 1;
  QueuePolicy queue;  ///< of levels that `queues` does not name
  std::map<std::uint64_t, QueuePolicy> queues;
  std::int64_t max_waiting = 64;       ///< requests of all levels
  std::int64_t max_waiting_bytes = 0;  ///< of their inputs; 0: no limit
  int instances = 1;                   ///< runs at the same time
  bool sequences = false;
  std::int64_t max_sequences = 0;  ///< that have a slot at the same time
  microseconds sequence_idle{0};   ///< after which a sequence has ended

  std::uint64_t level_of(std::uint64_t priority) const;
  const QueuePolicy& queue_of(std::uint64_t level) const;
};

inline constexpr int kMaxInstances = 64;
/// Triton's max_sequence_idle_microseconds where none is given.
inline constexpr microseconds kSequenceIdle{1000000};

/// `config` complete, see TensorContract. `max_waiting`: requests of the model that may wait, where
/// the configuration asks for no more; `max_waiting_bytes` as in the policy. Error(bad_input) names
/// a field of the configuration that is out of its range.
BatchPolicy batch_policy(const inference::ModelConfig& config, std::int64_t max_waiting,
                         std::int64_t max_waiting_bytes);

/// Instances that the groups of a configuration ask for, 1 without any.
int instances_of(const inference::ModelConfig& config);

}  // namespace tenon::serving
