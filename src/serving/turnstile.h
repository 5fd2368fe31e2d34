// One after the other, in the order of arrival, and no more than so many waiting.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "serving/served_model.h"

namespace tenon::serving {

/// Any number of threads.
class Turnstile {
 public:
  explicit Turnstile(std::int64_t limit) : limit_(limit) {}

  /// Holds the place until it goes out of scope.
  class Pass {
   public:
    explicit Pass(Turnstile& turnstile) : turnstile_(turnstile) { turnstile_.enter(); }
    ~Pass() { turnstile_.leave(); }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    Turnstile& turnstile_;
  };

  std::int64_t waiting() const {
    const std::lock_guard lock(mutex_);
    return next_ - serving_ > 1 ? next_ - serving_ - 1 : 0;
  }

 private:
  void enter() {
    std::unique_lock lock(mutex_);
    if (next_ - serving_ > limit_) {
      throw Rejected(fmt::format("{} requests wait already, which is the most", limit_),
                     std::chrono::seconds(1));
    }
    const std::int64_t mine = next_++;
    changed_.wait(lock, [&] { return serving_ == mine; });
  }
  void leave() {
    {
      const std::lock_guard lock(mutex_);
      ++serving_;
    }
    changed_.notify_all();
  }

  std::int64_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t next_ = 0;
  std::int64_t serving_ = 0;
};

}  // namespace tenon::serving
