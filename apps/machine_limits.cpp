#include "machine_limits.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <immintrin.h>

#include "backend/cpu/cpu_backend.h"
#include "base/cpu_features.h"

namespace tenon::apps {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

__attribute__((target("avx2"))) std::uint64_t sum_avx2(const std::byte* data, std::size_t bytes) {
  __m256i sums[4] = {};
  for (std::size_t i = 0; i + 128 <= bytes; i += 128) {
    for (int j = 0; j < 4; ++j) {
      sums[j] = _mm256_add_epi64(sums[j], _mm256_load_si256(reinterpret_cast<const __m256i*>(
                                              data + i + 32 * static_cast<std::size_t>(j))));
    }
  }
  alignas(32) std::uint64_t lanes[4];
  _mm256_store_si256(
      reinterpret_cast<__m256i*>(lanes),
      _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3])));
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

std::uint64_t sum_plain(const std::byte* data, std::size_t bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + i, 8);
    sum += word;
  }
  return sum;
}

constexpr int kFmaRounds = 2'000'000;

// Twelve independent chains hide the latency of a multiply-add.
__attribute__((target("avx2,fma"))) float fma_avx2() {
  __m256 sums[12];
  for (auto& sum : sums) sum = _mm256_set1_ps(1.0F);
  const __m256 factor = _mm256_set1_ps(0.999F);
  for (int i = 0; i < kFmaRounds; ++i) {
    for (auto& sum : sums) sum = _mm256_fmadd_ps(sum, factor, factor);
    asm volatile("" : "+x"(sums[0]), "+x"(sums[1]), "+x"(sums[2]), "+x"(sums[3]));
  }
  float total = 0;
  for (const auto& sum : sums) total += _mm256_cvtss_f32(sum);
  return total;
}
constexpr double kFmaOps = 2.0 * 8 * 12 * kFmaRounds;

__attribute__((target("avx512f"))) float fma_avx512() {
  __m512 sums[12];
  for (auto& sum : sums) sum = _mm512_set1_ps(1.0F);
  const __m512 factor = _mm512_set1_ps(0.999F);
  for (int i = 0; i < kFmaRounds; ++i) {
    for (auto& sum : sums) sum = _mm512_fmadd_ps(sum, factor, factor);
    asm volatile("" : "+v"(sums[0]), "+v"(sums[1]), "+v"(sums[2]), "+v"(sums[3]));
  }
  float total = 0;
  for (const auto& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

__attribute__((target("avx512f,avx512bf16"))) float dot_bf16() {
  __m512 sums[12];
  for (auto& sum : sums) sum = _mm512_set1_ps(1.0F);
  const __m512i bits = _mm512_set1_epi16(0x3f00);
  __m512bh half;
  std::memcpy(&half, &bits, sizeof half);
  for (int i = 0; i < kFmaRounds; ++i) {
    for (auto& sum : sums) sum = _mm512_dpbf16_ps(sum, half, half);
    asm volatile("" : "+v"(sums[0]), "+v"(sums[1]), "+v"(sums[2]), "+v"(sums[3]));
  }
  float total = 0;
  for (const auto& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

// Best of several rounds: a limit is what the machine reaches when nothing disturbs it.
template <typename Work>
double best_rate(ThreadPool& pool, double amount, int rounds, Work work) {
  double best = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto start = Clock::now();
    pool.run(work);
    best = std::max(best, amount / seconds_since(start));
  }
  return best;
}

}  // namespace

MachineLimits measure_limits(ThreadPool& pool) {
  MachineLimits limits;
  const Isa isa = native_isa();
  constexpr std::size_t kBytes = std::size_t{512} << 20;
  const auto memory = backend::allocate_huge(kBytes);
  std::memset(memory.get(), 1, kBytes);
  const std::size_t share = kBytes / static_cast<std::size_t>(pool.size()) / 4096 * 4096;
  volatile std::uint64_t sink = 0;
  limits.read_bytes_per_s =
      best_rate(pool, static_cast<double>(share) * pool.size(), 7, [&](int member) {
        const std::byte* part = memory.get() + share * static_cast<std::size_t>(member);
        sink = sink + (isa >= Isa::avx2 ? sum_avx2(part, share) : sum_plain(part, share));
      });
  volatile float result = 0;
  if (isa >= Isa::avx512) {
    limits.fp32_flops =
        best_rate(pool, 2 * kFmaOps * pool.size(), 5, [&](int) { result = fma_avx512(); });
  } else if (isa >= Isa::avx2) {
    limits.fp32_flops =
        best_rate(pool, kFmaOps * pool.size(), 5, [&](int) { result = fma_avx2(); });
  }
  if (isa >= Isa::avx512_bf16) {
    limits.bf16_flops =
        best_rate(pool, 4 * kFmaOps * pool.size(), 5, [&](int) { result = dot_bf16(); });
  }
  return limits;
}

}  // namespace tenon::apps
