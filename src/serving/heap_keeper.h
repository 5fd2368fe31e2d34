// Gives memory that was freed back to the system: the allocator keeps what large requests have
// left.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace tenon::serving {

/// Owns a thread that looks every two seconds.
class HeapKeeper {
 public:
  HeapKeeper();
  ~HeapKeeper();
  HeapKeeper(const HeapKeeper&) = delete;
  HeapKeeper& operator=(const HeapKeeper&) = delete;

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false;
  std::thread thread_;  // the last: it uses all of the above
};

}  // namespace tenon::serving
