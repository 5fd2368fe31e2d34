// Plans of steps: what has waited too long goes, what runs goes on, what waits comes in.
#include "serving/batching/scheduler.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace tenon::serving {

/// What is left of a step.
struct Scheduler::Budget {
  std::int64_t tokens;
  std::int64_t pages;
  std::map<TaskId, std::int64_t> reserved;  // pages promised to tasks in this step
};

Scheduler::Scheduler(const SchedulerLimits& limits) : limits_(limits) {
  limits_.max_running = std::max<std::int64_t>(limits_.max_running, 1);
  limits_.step_tokens = std::max(limits_.step_tokens, limits_.max_running);
}

std::int64_t Scheduler::fresh() const {
  return std::count_if(tasks_.begin(), tasks_.end(),
                       [](const auto& entry) { return !entry.second.started; });
}

bool Scheduler::has_room(std::int64_t count) const {
  return count <= limits_.max_waiting - fresh();
}

void Scheduler::add(const Task& task) {
  State& state = tasks_[task.id];
  state.task = task;
  state.known = task.prompt_tokens;
  const auto [client, is_new] = clients_.try_emplace(task.client);
  if (is_new) {
    // What others had before it came is not owed to a newcomer.
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const auto& [name, other] : clients_) {
      if (other.tasks > 0) least = std::min(least, other.tokens);
    }
    if (clients_.size() > 1) client->second.tokens = least;
  }
  ++client->second.tasks;
}

void Scheduler::remove(TaskId task) {
  const auto found = tasks_.find(task);
  if (found == tasks_.end()) return;
  if (found->second.running) --running_;
  const auto client = clients_.find(found->second.task.client);
  if (--client->second.tasks == 0) clients_.erase(client);
  tasks_.erase(found);
}

void Scheduler::set_paused(TaskId task, bool paused) {
  const auto found = tasks_.find(task);
  if (found != tasks_.end()) found->second.paused = paused;
}

void Scheduler::grow(TaskId task) {
  const auto found = tasks_.find(task);
  if (found != tasks_.end()) ++found->second.known;
}

bool Scheduler::any_paused() const {
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [](const auto& entry) { return entry.second.paused; });
}

std::optional<TimePoint> Scheduler::next_deadline() const {
  std::optional<TimePoint> next;
  const auto take = [&](const std::optional<TimePoint>& time) {
    if (time && (!next || *time < *next)) next = time;
  };
  for (const auto& [id, state] : tasks_) {
    take(state.task.deadline);
    if (!state.started) take(state.task.queue_deadline);
  }
  return next;
}

Plan Scheduler::plan(TimePoint now, const Pages& pages) {
  Plan plan;
  expire(now, plan);
  Budget budget{limits_.step_tokens, pages.available(), {}};
  const std::vector<State*> order = running_in_order();
  for (const bool decodes : {true, false}) {
    for (State* state : order) {
      if (!state->running || state->paused || budget.reserved.contains(state->task.id)) continue;
      if ((state->known - state->computed == 1) == decodes) go_on(*state, pages, budget, plan);
    }
  }
  admit(now, pages, budget, plan);
  return plan;
}

std::int64_t Scheduler::pages_for(std::int64_t tokens) const {
  return (tokens + limits_.page_tokens - 1) / limits_.page_tokens;
}

std::int64_t Scheduler::priority(const State& state, TimePoint now) const {
  const auto waited = std::max(now - state.task.arrival, TimePoint::duration::zero());
  return state.task.priority + (limits_.aging.count() > 0 ? waited / limits_.aging : 0);
}

std::int64_t Scheduler::chunk_of(const State& state) const {
  const std::int64_t left = state.known - state.computed;
  if (!limits_.replay_singly) return left;
  return state.computed < state.task.prompt_tokens ? state.task.prompt_tokens - state.computed
                                                   : std::min<std::int64_t>(left, 1);
}

void Scheduler::expire(TimePoint now, Plan& plan) {
  for (const auto& [id, state] : tasks_) {
    const bool queued = !state.started;
    const bool over = state.task.deadline && *state.task.deadline <= now;
    const bool late = queued && state.task.queue_deadline && *state.task.queue_deadline <= now;
    if (over || late) plan.expired.push_back({id, queued});
  }
  for (const auto& expired : plan.expired) remove(expired.task);
}

std::vector<Scheduler::State*> Scheduler::running_in_order() {
  std::vector<State*> order;
  for (auto& [id, state] : tasks_) {
    if (state.running) order.push_back(&state);
  }
  std::stable_sort(order.begin(), order.end(), [](const State* a, const State* b) {
    return a->task.priority > b->task.priority;
  });
  return order;
}

void Scheduler::go_on(State& state, const Pages& pages, Budget& budget, Plan& plan) {
  std::int64_t tokens = std::min(chunk_of(state), budget.tokens);
  if (tokens == 0) return;
  const std::int64_t has = pages_for(state.computed);
  const std::int64_t open = has * limits_.page_tokens - state.computed;
  // Rather a short chunk than the pages of another.
  while (open == 0 && budget.pages == 0) {
    State* victim = victim_for(state);
    if (victim == nullptr) return;  // it waits for a page with all that it has
    preempt(*victim, pages, budget, plan);
  }
  tokens =
      std::min(std::min(chunk_of(state), budget.tokens), open + budget.pages * limits_.page_tokens);
  schedule(state, tokens, budget, plan);
}

void Scheduler::schedule(State& state, std::int64_t tokens, Budget& budget, Plan& plan) {
  const std::int64_t added = pages_for(state.computed + tokens) - pages_for(state.computed);
  state.computed += tokens;
  budget.tokens -= tokens;
  budget.pages -= added;
  budget.reserved[state.task.id] = added;
  if (state.computed > state.charged) {
    clients_.find(state.task.client)->second.tokens += state.computed - state.charged;
    state.charged = state.computed;
  }
  plan.chunks.push_back({state.task.id, tokens, state.computed == state.known});
}

/// Of those that must give way to the task, who gives way first.
Scheduler::State* Scheduler::victim_for(const State& state) {
  const auto rank = [](const State& of) {
    return std::tuple(of.paused ? 0 : 1, of.task.priority, -static_cast<std::int64_t>(of.task.id));
  };
  State* victim = nullptr;
  for (auto& [id, other] : tasks_) {
    if (!other.running || &other == &state || rank(other) > rank(state)) continue;
    if (victim == nullptr || rank(other) < rank(*victim)) victim = &other;
  }
  return victim;
}

void Scheduler::preempt(State& victim, const Pages& pages, Budget& budget, Plan& plan) {
  const TaskId id = victim.task.id;
  budget.pages += pages.returned_by(id);
  if (const auto reserved = budget.reserved.find(id); reserved != budget.reserved.end()) {
    budget.pages += reserved->second;
    budget.reserved.erase(reserved);
    const auto chunk = std::find_if(plan.chunks.begin(), plan.chunks.end(),
                                    [&](const auto& other) { return other.task == id; });
    budget.tokens += chunk->tokens;
    plan.chunks.erase(chunk);
  }
  victim.running = false;
  victim.computed = 0;
  --running_;
  plan.preempted.push_back(id);
}

void Scheduler::admit(TimePoint now, const Pages& pages, Budget& budget, Plan& plan) {
  if (!plan.preempted.empty()) return;
  // Those that run get the pages of all their tokens and of the next one before anyone comes in.
  std::int64_t active = 0;
  for (const auto& [id, state] : tasks_) {
    if (!state.running || state.paused) continue;
    ++active;
    budget.pages -= growth(state);
  }
  while (State* next = next_waiting(now)) {
    const bool fits = active < limits_.max_running && budget.tokens > 0;
    if (!fits && !make_way(*next, active, pages, budget, plan)) return;
    while (!admit(*next, pages, budget, plan)) {
      // Those just admitted may count on the pages of a paused one.
      State* paused = plan.admitted.empty() ? paused_with_pages() : nullptr;
      if (paused != nullptr) {
        preempt(*paused, pages, budget, plan);
      } else if (!make_way(*next, active, pages, budget, plan)) {
        return;
      }
    }
    ++active;
  }
}

/// Pages that it takes with all its tokens and the next one.
std::int64_t Scheduler::growth(const State& state) const {
  return pages_for(state.known + 1) - pages_for(state.computed);
}

/// Of those that run, unpaused, who has a lower priority: who gives way first stands first.
std::vector<Scheduler::State*> Scheduler::below(int priority) {
  std::vector<State*> found;
  for (auto& [id, state] : tasks_) {
    if (state.running && !state.paused && state.task.priority < priority) found.push_back(&state);
  }
  std::sort(found.begin(), found.end(), [](const State* a, const State* b) {
    return std::tuple(a->task.priority, b->task.id) < std::tuple(b->task.priority, a->task.id);
  });
  return found;
}

/// Its chunk of this step goes to others.
void Scheduler::take_back(State& state, Budget& budget, Plan& plan) {
  const TaskId id = state.task.id;
  const auto chunk = std::find_if(plan.chunks.begin(), plan.chunks.end(),
                                  [&](const auto& other) { return other.task == id; });
  if (chunk == plan.chunks.end()) return;
  state.computed -= chunk->tokens;
  budget.tokens += chunk->tokens;
  budget.reserved.erase(id);  // its pages are still counted on, as its growth
  plan.chunks.erase(chunk);
}

/// Takes from tasks of a lower priority what `next` still lacks. False, and nothing is changed,
/// when all that they have is not enough.
bool Scheduler::make_way(const State& next, std::int64_t& active, const Pages& pages,
                         Budget& budget, Plan& plan) {
  std::vector<State*> lower = below(next.task.priority);
  std::erase_if(lower, [&](const State* state) {
    return std::any_of(plan.admitted.begin(), plan.admitted.end(),
                       [&](const auto& other) { return other.task == state->task.id; });
  });
  if (lower.empty()) return false;
  const auto pages_of = [&](const State& state) {
    const auto reserved = budget.reserved.find(state.task.id);
    return growth(state) + pages.returned_by(state.task.id) +
           (reserved == budget.reserved.end() ? 0 : reserved->second);
  };
  const std::int64_t needed = pages_for(next.known + 1);
  std::int64_t could = budget.pages;
  for (const State* state : lower) could += pages_of(*state);
  if (could < needed) return false;
  if (active < limits_.max_running && budget.pages >= needed) {
    // Only tokens are missing: those of a chunk wait for the next step.
    for (State* state : lower) {
      if (budget.tokens > 0) break;
      take_back(*state, budget, plan);
    }
    return budget.tokens > 0;
  }
  // Those just admitted may count on the pages of one that would go.
  if (!plan.admitted.empty()) return false;
  for (State* state : lower) {
    if (active < limits_.max_running && budget.tokens > 0 && budget.pages >= needed) break;
    budget.pages += growth(*state);
    preempt(*state, pages, budget, plan);
    --active;
  }
  return budget.tokens > 0 && budget.pages >= needed;
}

bool Scheduler::admit(State& state, const Pages& pages, Budget& budget, Plan& plan) {
  Pages::Prefix prefix = pages.prefix(state.task.id);
  if (limits_.replay_singly) prefix = {};
  // Pages of a task that is preempted for this one count as available already.
  const std::int64_t busy = plan.preempted.empty() ? prefix.busy : 0;
  const std::int64_t needed = pages_for(state.known + 1) - busy;
  if (needed > budget.pages) return false;
  const std::int64_t left = budget.pages - needed;
  state.running = true;
  state.started = true;
  state.computed = prefix.tokens;
  state.charged = std::max(state.charged, prefix.tokens);
  ++running_;
  plan.admitted.push_back({state.task.id, prefix.tokens});
  schedule(state, std::min(chunk_of(state), budget.tokens), budget, plan);
  budget.pages = left;
  return true;
}

Scheduler::State* Scheduler::next_waiting(TimePoint now) {
  const auto may_start = [&](const State& state) {
    if (state.running || state.paused) return false;
    const auto leader = state.task.after ? tasks_.find(*state.task.after) : tasks_.end();
    return leader == tasks_.end() || leader->second.known > leader->second.task.prompt_tokens;
  };
  const auto rank = [&](const State& state) {
    return std::tuple(-priority(state, now), state.started ? 0 : 1,
                      clients_.find(state.task.client)->second.tokens, state.task.id);
  };
  State* best = nullptr;
  for (auto& [id, state] : tasks_) {
    if (may_start(state) && (best == nullptr || rank(state) < rank(*best))) best = &state;
  }
  return best;
}

Scheduler::State* Scheduler::paused_with_pages() {
  State* found = nullptr;
  for (auto& [id, state] : tasks_) {
    if (state.running && state.paused) found = &state;
  }
  return found;
}

}  // namespace tenon::serving
