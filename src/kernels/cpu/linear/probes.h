// What the machine allows, measured beside a benchmark: read bandwidth and multiply-add peaks of
// the whole pool. AVX-512 only.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include <immintrin.h>

#include "base/cpu_features.h"
#include "base/thread_pool.h"
#include "tensor/dtype.h"

// gcc 12 takes the undefined registers of its own AVX-512 intrinsics for mistakes of the caller.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace tenon::kernels {

/// Seconds that `body()` takes.
template <typename Body>
double seconds(Body&& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Combines all 64-byte lines of a multiple of 1024 bytes, so that none is left out. Four streams:
/// a single one is slower, as the prefetchers stop at each page.
__attribute__((target("avx512f"))) inline std::uint64_t read_lines(const std::byte* from,
                                                                   std::int64_t bytes) {
  const std::int64_t part = bytes / 1024 * 256;
  __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                     _mm512_setzero_si512()};
  for (std::int64_t i = 0; i < part; i += 256) {
    for (std::int64_t stream = 0; stream < 4; ++stream) {
      for (std::int64_t j = 0; j < 4; ++j) {
        const std::byte* line = from + stream * part + i + j * 64;
        sums[j] = _mm512_xor_si512(sums[j], _mm512_load_si512(line));
      }
    }
  }
  const __m512i all =
      _mm512_xor_si512(_mm512_xor_si512(sums[0], sums[1]), _mm512_xor_si512(sums[2], sums[3]));
  return static_cast<std::uint64_t>(_mm512_reduce_add_epi64(all));
}

/// Bytes a second that all members together read from memory, each its own contiguous part.
inline double read_bandwidth(ThreadPool& pool, std::span<const std::byte> memory) {
  volatile std::uint64_t sink = 0;
  const auto blocks = static_cast<std::int64_t>(memory.size() / 1024);
  const double time = seconds([&] {
    pool.parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      sink = sink + read_lines(memory.data() + begin * 1024, (end - begin) * 1024);
    });
  });
  return static_cast<double>(blocks * 1024) / time;
}

inline constexpr std::int64_t kPeakSteps = 200'000;

__attribute__((target("avx512f"))) inline float spin_fp32() {
  __m512 sums[12];
#pragma GCC unroll 12
  for (auto& sum : sums) {
    sum = _mm512_setzero_ps();
    asm volatile("" : "+v"(sum));  // chains that look alike would become one
  }
  __m512 a = _mm512_set1_ps(1e-3F);
  for (std::int64_t i = 0; i < kPeakSteps; ++i) {
    asm volatile("" : "+v"(a));
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_fmadd_ps(a, a, sum);
  }
  for (int j = 1; j < 12; ++j) sums[0] = _mm512_add_ps(sums[0], sums[j]);
  return _mm512_reduce_add_ps(sums[0]);
}

__attribute__((target("avx512f,avx512bf16"))) inline float spin_bf16() {
  __m512 sums[12];
#pragma GCC unroll 12
  for (auto& sum : sums) {
    sum = _mm512_setzero_ps();
    asm volatile("" : "+v"(sum));  // chains that look alike would become one
  }
  __m512i a = _mm512_set1_epi32(0x3a003a00);
  for (std::int64_t i = 0; i < kPeakSteps; ++i) {
    asm volatile("" : "+v"(a));
#pragma GCC unroll 12
    for (auto& sum : sums) {
      sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(a));
    }
  }
  for (int j = 1; j < 12; ++j) sums[0] = _mm512_add_ps(sums[0], sums[j]);
  return _mm512_reduce_add_ps(sums[0]);
}

__attribute__((target("avx512f,avx512vnni"))) inline float spin_int8() {
  __m512i sums[12];
#pragma GCC unroll 12
  for (auto& sum : sums) {
    sum = _mm512_setzero_si512();
    asm volatile("" : "+v"(sum));
  }
  __m512i a = _mm512_set1_epi32(0x01010101);
  for (std::int64_t i = 0; i < kPeakSteps; ++i) {
    asm volatile("" : "+v"(a));
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, a);
  }
  for (int j = 1; j < 12; ++j) sums[0] = _mm512_add_epi32(sums[0], sums[j]);
  return static_cast<float>(_mm512_reduce_add_epi32(sums[0]));
}

/// Operations a second (a multiply-add counts two) of the best instruction for the type, on all
/// members together. bf16 without AVX512_BF16 counts as fp32.
inline double multiply_peak(ThreadPool& pool, DType type) {
  volatile float sink = 0.0F;
  const bool pairs = type == DType::bf16 && native_isa() >= Isa::avx512_bf16;
  const double time = seconds([&] {
    pool.run([&](int) {
      sink = type == DType::i8 ? spin_int8() : pairs ? spin_bf16() : spin_fp32();
    });
  });
  const double lanes = type == DType::i8 ? 64.0 : pairs ? 32.0 : 16.0;
  return 2.0 * lanes * 12.0 * static_cast<double>(kPeakSteps) * pool.size() / time;
}

}  // namespace tenon::kernels

#pragma GCC diagnostic pop
