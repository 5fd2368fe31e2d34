#include "serving/batching/queue_clock.h"

namespace tenon::serving {

QueueClock::QueueClock(std::function<void(RequestId, double)> ended) : ended_(std::move(ended)) {
  thread_ = std::thread([this] { run(); });
}

QueueClock::~QueueClock() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void QueueClock::add(TimePoint time, const std::shared_ptr<LiveRequest>& request) {
  bool is_next = false;
  {
    const std::lock_guard lock(mutex_);
    const auto place = waiting_.emplace(time, request);  // before begin(), which it may change
    is_next = place == waiting_.begin();
  }
  if (is_next) changed_.notify_all();
}

void QueueClock::run() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto next = waiting_.begin();
    if (next->first > Clock::now()) {
      changed_.wait_until(lock, TimePoint(next->first));
      continue;
    }
    const TimePoint due = next->first;
    const std::shared_ptr<LiveRequest> request = next->second.lock();
    waiting_.erase(next);
    if (request == nullptr || !request->claim()) continue;
    lock.unlock();
    request->expire();
    ended_(request->id(), std::chrono::duration<double>(Clock::now() - due).count());
    lock.lock();
  }
}

}  // namespace tenon::serving
