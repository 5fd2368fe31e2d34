// Ends requests that wait too long at their time, also while the engine is inside of a long step.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "serving/batching/live_request.h"

namespace tenon::serving {

/// Owns a thread. Any number of threads may add.
class QueueClock {
 public:
  /// `ended` is called in the clock's thread, for each request that it has ended: its id, and how
  /// many seconds after its time it was told.
  explicit QueueClock(std::function<void(RequestId, double)> ended);
  ~QueueClock();

  /// The request fails at `time` unless the engine has come to it by then.
  void add(TimePoint time, const std::shared_ptr<LiveRequest>& request);

 private:
  void run();

  std::function<void(RequestId, double)> ended_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<TimePoint, std::weak_ptr<LiveRequest>> waiting_;
  bool is_stopping_ = false;
  std::thread thread_;  // the last: it uses all of the above
};

}  // namespace tenon::serving
