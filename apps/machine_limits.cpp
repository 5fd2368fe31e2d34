#include "machine_limits.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "kernels/cpu/linear/probes.h"

namespace tenon::apps {
namespace {

// A limit is what the machine reaches when nothing disturbs it: the best of several rounds.
template <typename Probe>
double best_of(int rounds, Probe probe) {
  double best = 0;
  for (int round = 0; round < rounds; ++round) best = std::max(best, probe());
  return best;
}

}  // namespace

MachineLimits measure_limits(ThreadPool& pool) {
  MachineLimits limits;
  const Isa isa = native_isa();
  if (isa < Isa::avx512) return limits;  // the probes are written in AVX-512
  constexpr std::size_t kBytes = std::size_t{512} << 20;
  const auto memory = backend::allocate_huge(kBytes);
  std::memset(memory.get(), 1, kBytes);
  limits.read_bytes_per_s = best_of(7, [&] {
    return kernels::read_bandwidth(pool, {memory.get(), kBytes});
  });
  limits.fp32_flops = best_of(15, [&] { return kernels::multiply_peak(pool, DType::f32); });
  limits.int8_ops = best_of(15, [&] { return kernels::multiply_peak(pool, DType::i8); });
  if (isa >= Isa::avx512_bf16)
    limits.bf16_flops = best_of(15, [&] { return kernels::multiply_peak(pool, DType::bf16); });
  return limits;
}

}  // namespace tenon::apps
