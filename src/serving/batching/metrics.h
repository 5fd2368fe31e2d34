// What a text engine counts, as plain data: an edge turns it into its own format.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace tenon::serving {

/// Seconds by buckets whose upper ends double from 1 ms; the last has no end.
struct LatencyHistogram {
  static constexpr std::size_t kBuckets = 18;
  std::array<std::uint64_t, kBuckets> counts{};  ///< of each bucket alone
  std::uint64_t count = 0;
  double sum_s = 0;

  /// Upper end of a bucket that has one, in seconds.
  static double bound_s(std::size_t bucket) { return 0.001 * static_cast<double>(1U << bucket); }
  void add(double seconds) {
    std::size_t bucket = 0;
    while (bucket + 1 < kBuckets && seconds > bound_s(bucket)) ++bucket;
    ++counts[bucket];
    ++count;
    sum_s += seconds;
  }
};

/// How late requests that waited too long were told so: seconds from the time at which they were
/// due to the answer, by this process's clock.
struct LatenessHistogram {
  /// Seconds.
  static constexpr std::array<double, 10> kBounds = {0.001, 0.002, 0.005, 0.01, 0.02,
                                                     0.05,  0.1,   0.2,   0.5,  1};
  std::array<std::uint64_t, kBounds.size() + 1> counts{};  ///< of each bucket alone
  std::uint64_t count = 0;
  double sum_s = 0;

  void add(double seconds) {
    const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
    ++counts[static_cast<std::size_t>(bucket - kBounds.begin())];
    ++count;
    sum_s += seconds;
  }
};

/// Counters only grow; gauges are those after the last step.
struct TextMetrics {
  // Gauges.
  std::int64_t running = 0;       ///< sequences with pages
  std::int64_t waiting = 0;       ///< sequences without, preempted ones too
  double cache_usage = 0;         ///< pages in use, 0 to 1; pages kept for others are not in use
  std::int64_t cached_pages = 0;  ///< kept for others, in use or not
  // Counters.
  std::uint64_t steps = 0;
  std::uint64_t accepted = 0;  ///< requests
  std::uint64_t rejected = 0;  ///< for lack of room in the queue
  std::uint64_t finished = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t failed = 0;          ///< timeouts too
  std::uint64_t queue_timeouts = 0;  ///< ended before they had started
  std::uint64_t preemptions = 0;
  std::uint64_t prompt_tokens = 0;    ///< of accepted requests
  std::uint64_t cached_tokens = 0;    ///< of prompts, not computed again
  std::uint64_t computed_tokens = 0;  ///< that went through the model, those of replays too
  std::uint64_t generated_tokens = 0;
  // Latencies.
  LatencyHistogram queue;        ///< from submit to the first step
  LatencyHistogram first_token;  ///< from submit to the first token of a request
  LatencyHistogram next_token;   ///< between tokens of a sequence
  LatencyHistogram whole;        ///< from submit to the end
  LatenessHistogram lateness;    ///< of queue timeouts
};

}  // namespace tenon::serving
