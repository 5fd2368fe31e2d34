// What happened to the requests of a model, as the statistics of KServe and the metrics tell it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>

namespace tenon::serving {

using Nanoseconds = std::chrono::nanoseconds;

/// How a request ended.
enum class Outcome { success, rejected, cancelled, backend, other };
inline constexpr std::array<const char*, 4> kFailureReasons = {"REJECTED", "CANCELED", "BACKEND",
                                                               "OTHER"};

struct Phases {
  Nanoseconds total{0}, queue{0}, input{0}, infer{0}, output{0};
};

/// One run of a model over a batch.
struct BatchRun {
  std::uint64_t size = 1;  ///< inferences in it
  Nanoseconds input{0}, infer{0}, output{0};
};

/// Any number of threads.
class ModelStats {
 public:
  struct Duration {
    std::uint64_t count = 0;
    std::uint64_t ns = 0;
    void add(Nanoseconds time) {
      ++count;
      ns += static_cast<std::uint64_t>(time.count());
    }
  };
  struct Batch {
    Duration input, infer, output;
  };
  struct Values {
    Duration success, fail, cancel, queue, input, infer, output;
    std::uint64_t inferences = 0;
    std::uint64_t executions = 0;
    std::uint64_t last_inference_ms = 0;      ///< since 1970
    std::array<std::uint64_t, 4> failures{};  ///< in the order of kFailureReasons
    std::int64_t pending = 0;
    std::map<std::uint64_t, Batch> batches;  ///< runs by batch size, of models that tell them
  };

  void begin() {
    const std::lock_guard lock(mutex_);
    ++values_.pending;
  }
  /// Each begin is followed by one end. `batch`: how many inferences the request was. `executions`:
  /// 0 where they are told by `ran`.
  void end(Outcome outcome, const Phases& phases, std::uint64_t batch = 1,
           std::uint64_t executions = 1) {
    const std::lock_guard lock(mutex_);
    --values_.pending;
    values_.last_inference_ms =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                       std::chrono::system_clock::now().time_since_epoch())
                                       .count());
    if (outcome != Outcome::success) {
      ++values_.failures[static_cast<std::size_t>(outcome) - 1];
      return (outcome == Outcome::cancelled ? values_.cancel : values_.fail).add(phases.total);
    }
    values_.success.add(phases.total);
    values_.queue.add(phases.queue);
    values_.input.add(phases.input);
    values_.infer.add(phases.infer);
    values_.output.add(phases.output);
    values_.inferences += batch;
    values_.executions += executions;
  }
  /// A run of the model, which several requests may share.
  void ran(const BatchRun& run) {
    const std::lock_guard lock(mutex_);
    ++values_.executions;
    Batch& batch = values_.batches[run.size];
    batch.input.add(run.input);
    batch.infer.add(run.infer);
    batch.output.add(run.output);
  }
  Values values() const {
    const std::lock_guard lock(mutex_);
    return values_;
  }

 private:
  mutable std::mutex mutex_;
  Values values_;
};

}  // namespace tenon::serving
