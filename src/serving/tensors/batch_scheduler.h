// Decides which requests of plain tensors run together, when, and which have waited too long. Knows
// no model, no thread and no clock of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "serving/tensors/batch_policy.h"

namespace tenon::serving {

using TimePoint = std::chrono::steady_clock::time_point;

/// One request that is to be computed.
struct TensorTask {
  std::uint64_t id = 0;     ///< later ones are greater
  std::uint64_t level = 1;  ///< of BatchPolicy::level_of
  std::int64_t rows = 1;
  /// Only tasks with equal ones run together: the sizes of all inputs beyond the first dimension.
  std::vector<std::int64_t> shape = {};
  std::int64_t bytes = 0;
  TimePoint arrival = {};
  std::optional<TimePoint> queue_deadline = {};  ///< to have begun
  std::optional<TimePoint> deadline = {};        ///< to have ended
  /// Tasks of a sequence run one after the other, in the order of their ids. 0: of none.
  std::uint64_t sequence = 0;
};

struct BatchPlan {
  struct Expired {
    std::uint64_t task;
    bool running;  ///< its run goes on, its answer is late
    TimePoint due;
  };
  struct Batch {
    std::size_t instance;
    std::vector<std::uint64_t> tasks;  ///< at least one
    std::int64_t rows;
  };
  std::vector<Expired> expired;   ///< those that waited are forgotten already
  std::vector<Batch> batches;     ///< to begin now
  std::optional<TimePoint> next;  ///< when to plan again if nothing else happens
};

/// Tasks go by level, then those that are not late, then by id. The first ones of equal shape make
/// a batch, which begins on a free instance when it is as large as it can be, has a preferred size,
/// or its oldest task has waited the policy's delay. Every decision follows from the calls so far.
class BatchScheduler {
 public:
  explicit BatchScheduler(BatchPolicy policy);

  /// Whether one more of this level, with so many bytes, may wait.
  bool has_room(std::uint64_t level, std::int64_t bytes) const;
  void add(const TensorTask& task);
  /// Forgets a task that nobody wants; true when it was waiting. One that runs goes on.
  bool remove(std::uint64_t task);
  BatchPlan plan(TimePoint now);
  /// The run on this instance has ended, whatever came of it.
  void finish(std::size_t instance);
  /// The sequence has no tasks any more and gives its slot back: plan again.
  void end_sequence(std::uint64_t sequence);

  std::int64_t waiting() const { return static_cast<std::int64_t>(waiting_.size()); }
  std::int64_t waiting_rows() const { return rows_; }
  bool idle() const { return waiting_.empty() && running_.empty(); }
  const BatchPolicy& policy() const { return policy_; }

 private:
  struct Place {  // in the queue
    std::uint64_t level;
    bool late;
    std::uint64_t id;
    auto operator<=>(const Place&) const = default;
  };
  struct Running {
    std::size_t instance;
    std::uint64_t sequence;
    std::optional<TimePoint> deadline;
  };
  enum class Due { queue, answer };
  using Deadline = std::tuple<TimePoint, std::uint64_t, Due>;
  struct Group;

  void expire(TimePoint now, BatchPlan& plan);
  void make_late(std::uint64_t task);
  TensorTask take(std::uint64_t task);
  std::optional<Group> next_group(TimePoint now, std::optional<TimePoint>& next) const;
  std::vector<Group> groups() const;
  bool begins(Group& group, TimePoint now) const;
  void begin(const Group& group, std::size_t instance, BatchPlan& plan);

  BatchPolicy policy_;
  std::map<Place, TensorTask> waiting_;
  std::unordered_map<std::uint64_t, Place> places_;
  std::map<std::uint64_t, std::int64_t> levels_;  // tasks that wait
  std::int64_t rows_ = 0;
  std::int64_t bytes_ = 0;
  std::unordered_map<std::uint64_t, Running> running_;
  std::vector<bool> busy_;  // instances
  std::set<Deadline> deadlines_;
  std::set<std::uint64_t> slots_;           // sequences that have one
  std::set<std::uint64_t> busy_sequences_;  // with a task that runs
};

}  // namespace tenon::serving
