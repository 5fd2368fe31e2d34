// What this machine can do at best, measured now: the figures that every speed stands beside.
#pragma once

#include "base/thread_pool.h"

namespace tenon::apps {

struct MachineLimits {
  double read_bytes_per_s = 0;  ///< every thread streaming its own part of memory, huge pages
  double fp32_flops = 0;        ///< multiply-adds counted twice, all threads
  double bf16_flops = 0;        ///< 0 where the processor has no such instruction
  double int8_ops = 0;
};

/// Takes about a second and 512 MB for a while. All zero (not known) on processors without AVX-512,
/// which the probes are written in.
MachineLimits measure_limits(ThreadPool& pool);

}  // namespace tenon::apps
