// The one pool of worker threads that kernels run on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tenon {

/// A fixed team: the caller is member 0, the others are workers that spin briefly after each task,
/// then sleep. `run` blocks until every member has returned. One caller at a time; tasks must not
/// throw and must not call `run` again.
class ThreadPool {
 public:
  /// `threads` >= 1 in all; 0 takes one per processor of this process.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(member) once on each member, 0 <= member < size().
  template <typename Body>
  void run(Body&& body) {
    using Callable = std::remove_reference_t<Body>;
    dispatch([](void* context, int member) { (*static_cast<Callable*>(context))(member); },
             const_cast<void*>(static_cast<const void*>(&body)));
  }

  /// Splits [0, count) into size() ranges of nearly equal length, each a multiple of `grain` but
  /// the last, and calls body(begin, end) for those that are not empty. A short count runs on the
  /// caller.
  template <typename Body>
  void parallel_for(std::int64_t count, std::int64_t grain, Body&& body) {
    if (count <= grain || workers_.empty()) {
      if (count > 0) body(std::int64_t{0}, count);
      return;
    }
    const std::int64_t blocks = (count + grain - 1) / grain;
    const std::int64_t members = size();
    run([&](int member) {
      const std::int64_t begin = blocks * member / members * grain;
      const std::int64_t end = blocks * (member + 1) / members * grain;
      if (begin < count && begin < end) body(begin, end < count ? end : count);
    });
  }

 private:
  using Task = void (*)(void* context, int member);
  void dispatch(Task task, void* context);
  void work(int member);

  std::vector<std::thread> workers_;
  Task task_ = nullptr;
  void* context_ = nullptr;
  std::atomic<std::uint64_t> generation_{0};  // a new value announces a task
  std::atomic<int> running_{0};               // workers that have not finished it
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // guards only the sleep and wake of workers
  std::condition_variable wake_;
};

}  // namespace tenon
