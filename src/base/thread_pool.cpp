#include "base/thread_pool.h"

#include <chrono>

#include <immintrin.h>

#include "base/cpu_features.h"

namespace tenon {
namespace {

// A decode step leaves gaps of some microseconds between tasks: longer than that is idleness.
constexpr auto kSpin = std::chrono::microseconds(100);
constexpr int kPausesPerClock = 64;

}  // namespace

ThreadPool::ThreadPool(int threads) {
  const int wanted = threads > 0 ? threads : cpu_info().cores;
  workers_.reserve(static_cast<std::size_t>(wanted - 1));
  for (int member = 1; member < wanted; ++member)
    workers_.emplace_back([this, member] { work(member); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::dispatch(Task task, void* context) {
  if (workers_.empty()) {
    task(context, 0);
    return;
  }
  task_ = task;
  context_ = context;
  running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(
      1);  // sequentially consistent with sleepers_, so no worker sleeps through it
  if (sleepers_.load() > 0) {
    { const std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }
  task(context, 0);
  for (int spins = 0; running_.load(std::memory_order_acquire) != 0; ++spins) {
    // A member that lost its processor would make the others burn theirs: give way now and then.
    if (spins % 4096 == 4095) {
      std::this_thread::yield();
    } else {
      _mm_pause();
    }
  }
}

void ThreadPool::work(int member) {
  std::uint64_t seen = 0;
  for (;;) {
    auto deadline = std::chrono::steady_clock::now() + kSpin;
    while (generation_.load() == seen) {
      for (int i = 0; i < kPausesPerClock && generation_.load(std::memory_order_relaxed) == seen;
           ++i) {
        _mm_pause();
      }
      if (generation_.load() != seen || std::chrono::steady_clock::now() < deadline) continue;
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
      sleepers_.fetch_sub(1);
    }
    seen = generation_.load();
    if (stop_.load()) return;
    task_(context_, member);
    running_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace tenon
