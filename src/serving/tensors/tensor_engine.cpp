#include "serving/tensors/tensor_engine.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"

namespace tenon::serving {
namespace {

constexpr std::chrono::seconds kRestAfter{1};

std::exception_ptr made(ErrorCode code, std::string message) {
  return std::make_exception_ptr(Error(code, std::move(message)));
}

}  // namespace

void TensorEngine::Word::say() && {
  if (error) {
    sink->failed(std::move(error));
  } else {
    sink->computed(std::move(result));
  }
}

TensorEngine::TensorEngine(std::string name, TensorContract contract, SequenceInputs sequences,
                           BatchPolicy policy, std::vector<std::unique_ptr<BatchRunner>> runners)
    : name_(std::move(name)),
      contract_(std::move(contract)),
      sequence_inputs_(std::move(sequences)),
      scheduler_(std::move(policy)),
      book_(scheduler_.policy().sequence_idle) {
  for (auto& runner : runners) {
    instances_.push_back(std::make_unique<Instance>());
    instances_.back()->runner = std::move(runner);
  }
  for (std::size_t i = 0; i < instances_.size(); ++i)
    instances_[i]->thread = std::thread([this, i] { run(i); });
  clock_ = std::thread([this] { watch(); });
}

TensorEngine::~TensorEngine() {
  Words words;
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    for (auto& [id, entry] : entries_)
      fail_entry(id, made(ErrorCode::interrupted, "the model is being unloaded"), words);
  }
  next_changed_.notify_all();
  for (auto& instance : instances_) instance->work.notify_all();
  say(words);
  for (auto& instance : instances_) instance->thread.join();
  clock_.join();
  for (Word& word : order_.take()) std::move(word).say();
}

void TensorEngine::reject(std::uint64_t level) const {
  // As long as what waits takes at the pace so far.
  const double seconds = row_s_ * static_cast<double>(scheduler_.waiting_rows()) /
                         static_cast<double>(instances_.size());
  const std::int64_t most = scheduler_.policy().queue_of(level).max_waiting;
  throw Rejected(
      fmt::format("Exceeds maximum queue size: {} requests wait for "
                  "model '{}'{}",
                  scheduler_.waiting(), name_,
                  most > 0 ? fmt::format(", {} of one priority at most may", most) : ""),
      std::chrono::seconds(static_cast<std::int64_t>(std::clamp(std::ceil(seconds), 1.0, 60.0))));
}

void TensorEngine::add_sequence(Entry& entry, TensorTask& task, TimePoint now) {
  if (!scheduler_.policy().sequences) return;
  if (task.rows != 1)
    bad_input("inference request to sequence model '{}' must have batch-size 1, this one has {}",
              name_, task.rows);
  entry.sequence = book_.enter(entry.place.id, entry.place.start, entry.place.end, name_, now);
  task.sequence = entry.sequence;
  if (sequence_inputs_.varies()) task.shape.push_back(static_cast<std::int64_t>(entry.sequence));
}

RequestId TensorEngine::submit(TensorRequest request, std::shared_ptr<TensorSink> sink) {
  TensorContract::Checked checked = contract_.check(request.inputs);
  Entry entry;
  entry.inputs = std::move(request.inputs);
  entry.place = std::move(request.sequence);
  entry.sink = std::move(sink);
  entry.rows = checked.rows;
  // A text where the model takes numbers is refused before anything of it is remembered.
  if (scheduler_.policy().sequences) {
    TensorMap probe;
    sequence_inputs_.add(probe, entry.place, {});
  }
  Words words;
  RequestId id = 0;
  {
    const std::lock_guard lock(mutex_);
    const TimePoint now = Clock::now();
    const BatchPolicy& policy = scheduler_.policy();
    TensorTask task;
    task.level = policy.level_of(request.priority);
    task.rows = checked.rows;
    task.shape = std::move(checked.shape);
    task.bytes = checked.bytes;
    task.arrival = now;
    task.deadline = request.deadline;
    if (!scheduler_.has_room(task.level, task.bytes)) reject(task.level);
    const QueuePolicy& queue = policy.queue_of(task.level);
    microseconds timeout = queue.timeout;
    const microseconds asked = request.queue_timeout.value_or(microseconds(0));
    if (queue.allow_override && asked.count() > 0 && (timeout.count() == 0 || asked < timeout))
      timeout = asked;
    if (timeout.count() > 0) task.queue_deadline = now + timeout;
    // Clients' sequences that have been idle are over before this one is looked at.
    for (const std::uint64_t over : book_.collect(now)) {
      scheduler_.end_sequence(over);
      states_.erase(over);
    }
    add_sequence(entry, task, now);
    task.id = id = ++last_;
    entry.arrival = now;
    if (policy.preserve_ordering) order_.expect(id);
    scheduler_.add(task);
    entries_.emplace(id, std::move(entry));
    advance(now, words);
  }
  say(words);
  return id;
}

void TensorEngine::cancel(RequestId id) {
  Words words;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end() || !scheduler_.remove(id)) return;
    fail_entry(id, made(ErrorCode::interrupted, "the request was cancelled before it began"),
               words);
    const TimePoint now = Clock::now();
    forget(id, now);
    advance(now, words);
  }
  say(words);
}

std::int64_t TensorEngine::waiting() const {
  const std::lock_guard lock(mutex_);
  return scheduler_.waiting();
}

LatenessHistogram TensorEngine::lateness() const {
  const std::lock_guard lock(mutex_);
  return lateness_;
}

void TensorEngine::say(Words& words) {
  std::vector<double> late;
  for (Word& word : words) {
    const std::optional<TimePoint> due = word.due;
    std::move(word).say();
    if (due) late.push_back(std::chrono::duration<double>(Clock::now() - *due).count());
  }
  if (late.empty()) return;
  const std::lock_guard lock(mutex_);
  for (const double seconds : late) lateness_.add(seconds);
}

void TensorEngine::fail_entry(RequestId id, std::exception_ptr error, Words& words,
                              std::optional<TimePoint> due) {
  Entry& entry = entries_.at(id);
  if (entry.sink == nullptr) return;
  // Who fails does not wait for those before it.
  order_.forget(id);
  words.push_back({std::move(entry.sink), {}, std::move(error), due});
  entry.sink = nullptr;
  for (Word& word : order_.take()) words.push_back(std::move(word));
}

void TensorEngine::forget(RequestId id, TimePoint now) {
  const auto found = entries_.find(id);
  if (found->second.sequence != 0) book_.leave(found->second.sequence, now);
  entries_.erase(found);
}

void TensorEngine::carry_out(const BatchPlan& plan, TimePoint now, Words& words) {
  for (const auto& [id, running, due] : plan.expired) {
    fail_entry(id, std::make_exception_ptr(DeadlineExceeded("Request timeout expired")), words,
               running ? std::nullopt : std::optional(due));
    if (!running) forget(id, now);
  }
  for (const auto& batch : plan.batches) {
    for (const RequestId id : batch.tasks) entries_.at(id).begun = now;
    instances_[batch.instance]->batch = batch.tasks;
    instances_[batch.instance]->work.notify_one();
  }
}

void TensorEngine::advance(TimePoint now, Words& words) {
  if (is_stopping_) return;
  std::optional<TimePoint> next;
  for (bool again = true; again;) {
    const BatchPlan plan = scheduler_.plan(now);
    carry_out(plan, now, words);
    next = plan.next;
    const auto over = book_.collect(now);
    again = !over.empty();
    for (const std::uint64_t sequence : over) {
      scheduler_.end_sequence(sequence);
      states_.erase(sequence);
    }
  }
  if (const auto idle = book_.next(); idle && (!next || *idle < *next)) next = idle;
  const bool is_sooner = next && (!next_ || *next < *next_);
  next_ = next;
  if (is_sooner) next_changed_.notify_one();
}

void TensorEngine::watch() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    if (!next_) {
      next_changed_.wait(lock);
      continue;
    }
    const TimePoint due = *next_;
    if (Clock::now() < due) {
      next_changed_.wait_until(lock, due);
      continue;
    }
    Words words;
    advance(Clock::now(), words);
    lock.unlock();
    say(words);
    lock.lock();
  }
}

void TensorEngine::run(std::size_t index) {
  Instance& instance = *instances_[index];
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto has_work = [&] { return is_stopping_ || !instance.batch.empty(); };
    if (!instance.work.wait_for(lock, kRestAfter, has_work)) {
      lock.unlock();
      instance.runner->rest();
      lock.lock();
      instance.work.wait(lock, has_work);
    }
    if (is_stopping_) return;
    const std::vector<RequestId> batch = std::exchange(instance.batch, {});
    lock.unlock();
    compute(instance, batch);
    lock.lock();
    Words words;
    const TimePoint now = Clock::now();
    scheduler_.finish(index);
    for (const RequestId id : batch) forget(id, now);
    advance(now, words);
    if (words.empty()) continue;
    lock.unlock();
    say(words);
    lock.lock();
  }
}

// The entries of a batch stay where they are until it is forgotten, and only this thread uses their
// inputs.
void TensorEngine::compute(Instance& instance, const std::vector<RequestId>& batch) {
  std::vector<const TensorMap*> inputs;
  {
    const std::lock_guard lock(mutex_);
    for (const RequestId id : batch) {
      Entry& entry = entries_.at(id);
      if (entry.sequence != 0)
        sequence_inputs_.add(entry.inputs, entry.place,
                             entry.place.start ? TensorMap() : states_[entry.sequence]);
      inputs.push_back(&entry.inputs);
    }
  }
  std::vector<TensorMap> outputs(batch.size());
  std::vector<std::exception_ptr> errors(batch.size());
  const auto attempt = [&](std::size_t first, std::size_t count) {
    try {
      auto made = instance.runner->run(std::span(inputs).subspan(first, count));
      std::move(made.begin(), made.end(), outputs.begin() + static_cast<std::ptrdiff_t>(first));
      return true;
    } catch (...) {
      errors[first] = std::current_exception();
      return false;
    }
  };
  bool whole = attempt(0, batch.size());
  if (!whole && batch.size() > 1) {
    log::debug("model {}: a batch of {} failed, and is computed one by one", name_, batch.size());
    errors[0] = nullptr;
    for (std::size_t i = 0; i < batch.size(); ++i) attempt(i, 1);
  }
  Words words;
  {
    const std::lock_guard lock(mutex_);
    complete(batch, outputs, errors, instance.runner->times(), whole, words);
  }
  say(words);
}

void TensorEngine::settle(RequestId id, Word word, Words& words) {
  if (!scheduler_.policy().preserve_ordering) {
    words.push_back(std::move(word));
    return;
  }
  order_.put(id, std::move(word));
  for (Word& ready : order_.take()) words.push_back(std::move(ready));
}

void TensorEngine::complete(const std::vector<RequestId>& batch, std::vector<TensorMap>& outputs,
                            const std::vector<std::exception_ptr>& errors, const RunTimes& times,
                            bool whole, Words& words) {
  std::int64_t rows = 0;
  for (const RequestId id : batch) rows += entries_.at(id).rows;
  const double seconds = std::chrono::duration<double>(times.infer).count() /
                         static_cast<double>(std::max<std::int64_t>(1, rows));
  row_s_ = row_s_ == 0 ? seconds : 0.8 * row_s_ + 0.2 * seconds;
  bool is_told = false;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Entry& entry = entries_.at(batch[i]);
    if (errors[i] != nullptr) {
      fail_entry(batch[i], errors[i], words);
      continue;
    }
    if (entry.sequence != 0) states_[entry.sequence] = sequence_inputs_.take(outputs[i]);
    if (entry.sink == nullptr) continue;
    Word word{std::exchange(entry.sink, nullptr), {}, nullptr};
    word.result.outputs = std::move(outputs[i]);
    word.result.queue = entry.begun - entry.arrival;
    word.result.input = times.input;
    word.result.infer = times.infer;
    word.result.output = times.output;
    word.result.inferences = std::max<std::int64_t>(1, entry.rows);
    if (!is_told || !whole) {
      const auto size = whole ? rows : entry.rows;
      word.result.run = BatchRun{static_cast<std::uint64_t>(std::max<std::int64_t>(1, size)),
                                 times.input, times.infer, times.output};
      is_told = true;
    }
    settle(batch[i], std::move(word), words);
  }
}

}  // namespace tenon::serving
