// Decides what the next step of a text engine computes: which sequences go on, which prompts come
// in, who must give its pages back. Knows no model, no memory and no clock of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tenon::serving {

using TaskId = std::uint64_t;
using TimePoint = std::chrono::steady_clock::time_point;

struct SchedulerLimits {
  std::int64_t max_running = 64;   ///< sequences in one step, at least 1
  std::int64_t max_waiting = 256;  ///< sequences that have never run
  std::int64_t step_tokens = 512;  ///< of all sequences in one step, at least max_running
  std::int64_t page_tokens = 16;
  /// Waiting so long counts as one more priority, so that nobody waits for ever.
  std::chrono::milliseconds aging{10000};
  /// What was generated goes in again token by token after a preemption: for models whose cache
  /// depends on the length that a sequence had at each of its tokens.
  bool replay_singly = false;
};

/// One sequence that is to be computed.
struct Task {
  TaskId id = 0;  ///< later ones are greater
  int priority = 0;
  std::string client = {};
  TimePoint arrival = {};
  std::int64_t prompt_tokens = 1;
  std::optional<TimePoint> queue_deadline = {};  ///< to have started
  std::optional<TimePoint> deadline = {};        ///< to have ended
  /// Starts once that one has grown (so that its prompt can be shared), or has ended.
  std::optional<TaskId> after = {};
};

/// What the scheduler asks of the cache; nothing is changed by it.
class Pages {
 public:
  virtual ~Pages() = default;
  /// Pages that are free or can be freed at once.
  virtual std::int64_t available() const = 0;
  /// Of them, how many more there would be without the task. At least, not exactly.
  virtual std::int64_t returned_by(TaskId task) const = 0;
  struct Prefix {
    std::int64_t tokens = 0;  ///< full pages, fewer tokens than the task has
    std::int64_t busy = 0;    ///< of these pages, those that are not among the available
  };
  /// What a waiting task would find computed.
  virtual Prefix prefix(TaskId task) const = 0;
};

/// To be carried out in this order.
struct Plan {
  struct Expired {
    TaskId task;
    bool queued;  ///< had never started
  };
  struct Admission {
    TaskId task;
    std::int64_t prefix_tokens;
  };
  /// The next `tokens` tokens of a running task go in; `last`: a new one is chosen after them.
  struct Chunk {
    TaskId task;
    std::int64_t tokens;
    bool last;
  };
  std::vector<Expired> expired;  ///< forgotten already
  std::vector<TaskId> preempted;
  std::vector<Admission> admitted;
  std::vector<Chunk> chunks;  ///< those that choose a token each step first
};

/// Waiting tasks come in by priority, then preempted ones, then by the tokens that their client
/// has had, then by arrival, as long as the pages for all of their tokens are there. A task that
/// finds no page takes those of a paused one, else of the youngest of the lowest priority below
/// itself, which waits to be computed again. So does a waiting task that finds no place, no pages
/// or no tokens left in the step, from tasks of a lower priority as it was given: how long somebody
/// has waited lets nobody else go. Every decision follows from the calls so far.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerLimits& limits);

  /// Whether `count` more tasks may wait.
  bool has_room(std::int64_t count) const;
  void add(const Task& task);
  /// Forgets a task that has ended or failed, or that nobody wants; unknown ones do nothing.
  void remove(TaskId task);
  /// A paused task keeps its pages and is given nothing to compute.
  void set_paused(TaskId task, bool paused);
  /// A token was chosen after a `last` chunk.
  void grow(TaskId task);

  Plan plan(TimePoint now, const Pages& pages);

  /// When a task expires next.
  std::optional<TimePoint> next_deadline() const;
  std::int64_t running() const { return running_; }
  std::int64_t waiting() const { return static_cast<std::int64_t>(tasks_.size()) - running_; }
  /// Of the waiting ones, those that have never run.
  std::int64_t fresh() const;
  bool any_paused() const;

 private:
  struct State {
    Task task;
    std::int64_t known = 0;     // tokens: prompt and generated
    std::int64_t computed = 0;  // of them in the cache
    std::int64_t charged = 0;   // of them on the account of the client
    bool running = false;
    bool started = false;
    bool paused = false;
  };
  struct Budget;
  struct Client {
    std::int64_t tasks = 0;
    std::int64_t tokens = 0;
  };

  std::int64_t pages_for(std::int64_t tokens) const;
  std::int64_t priority(const State& state, TimePoint now) const;
  std::int64_t chunk_of(const State& state) const;
  void expire(TimePoint now, Plan& plan);
  std::vector<State*> running_in_order();
  void go_on(State& state, const Pages& pages, Budget& budget, Plan& plan);
  State* victim_for(const State& state);
  void preempt(State& victim, const Pages& pages, Budget& budget, Plan& plan);
  void admit(TimePoint now, const Pages& pages, Budget& budget, Plan& plan);
  bool admit(State& state, const Pages& pages, Budget& budget, Plan& plan);
  bool make_way(const State& next, std::int64_t& active, const Pages& pages, Budget& budget,
                Plan& plan);
  std::vector<State*> below(int priority);
  std::int64_t growth(const State& state) const;
  void take_back(State& state, Budget& budget, Plan& plan);
  State* next_waiting(TimePoint now);
  State* paused_with_pages();
  void schedule(State& state, std::int64_t tokens, Budget& budget, Plan& plan);

  SchedulerLimits limits_;
  std::map<TaskId, State> tasks_;
  std::map<std::string, Client, std::less<>> clients_;  // those with tasks
  std::int64_t running_ = 0;
};

}  // namespace tenon::serving
