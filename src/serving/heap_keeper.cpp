#include "serving/heap_keeper.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>

#include <malloc.h>
#include <unistd.h>

namespace tenon::serving {
namespace {

constexpr std::chrono::seconds kPeriod{2};
constexpr std::uint64_t kWorthIt = std::uint64_t{32} << 20;

std::uint64_t resident_bytes() {
  std::uint64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

HeapKeeper::HeapKeeper() : thread_([this] { run(); }) {}

HeapKeeper::~HeapKeeper() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void HeapKeeper::run() {
  std::uint64_t before = resident_bytes();
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kPeriod, [this] { return is_stopping_; })) {
    const std::uint64_t now = resident_bytes();
    // What is free in the heap stays counted there, whether the system has it back or not. Who has
    // shrunk since may have left as much behind as who has grown.
    const std::uint64_t change = std::max(now, before) - std::min(now, before);
    if (change < kWorthIt || ::mallinfo2().fordblks < kWorthIt) continue;
    ::malloc_trim(0);
    before = resident_bytes();
  }
}

}  // namespace tenon::serving
