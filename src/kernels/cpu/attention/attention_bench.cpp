// Cached attention at the sizes of real decoders, every row of this machine, beside what memory and
// multiply-adds allow. Keys and values of decode come from memory: more of them than the caches
// hold take turns. Names: row/decode or prefill/q heads/kv heads/head dim/context or rows.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "kernels/cpu/attention/cached_harness.h"
#include "kernels/cpu/linear/probes.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct Heads {
  int q, kv, dim;
};
constexpr Heads kHeads[] = {{32, 32, 128}, {32, 4, 64}, {16, 16, 64}};
constexpr std::int64_t kCold = 96 << 20;

struct Limits {
  double bytes_a_second, fp32, bf16;
};

const Limits& limits() {
  static const Limits kLimits = [] {
    ThreadPool pool;
    const Tensor memory(DType::u8, {256 << 20});
    const std::span bytes(memory.data(), memory.bytes());
    Limits best{0.0, 0.0, 0.0};
    for (int i = 0; i < 7; ++i) {
      best.bytes_a_second = std::max(best.bytes_a_second, read_bandwidth(pool, bytes));
      best.fp32 = std::max(best.fp32, multiply_peak(pool, DType::f32));
      best.bf16 = std::max(best.bf16, multiply_peak(pool, DType::bf16));
    }
    return best;
  }();
  return kLimits;
}

CachedCase case_of(const KernelRow& row, const Heads& heads) {
  const bool bf16 = row.name.find("attention_bf16") != std::string_view::npos;
  return {.q_heads = heads.q,
          .kv_heads = heads.kv,
          .dim = heads.dim,
          .rotary_dim = heads.dim,
          .bf16 = bf16,
          .threads = cpu_info().cores};
}

void report(benchmark::State& state, double bytes, double operations) {
  const auto times = static_cast<double>(state.iterations());
  using benchmark::Counter;
  state.counters["bytes/s"] = Counter(bytes * times, Counter::kIsRate);
  state.counters["flop/s"] = Counter(operations * times, Counter::kIsRate);
  state.counters["memory_limit"] = limits().bytes_a_second;
  state.counters["fp32_limit"] = limits().fp32;
  state.counters["bf16_limit"] = limits().bf16;
}

void decode(benchmark::State& state, const KernelRow& row, const Heads& heads, int context) {
  const CachedCase c = case_of(row, heads);
  const std::int64_t element = c.bf16 ? 2 : 4;
  const std::int64_t bytes = std::int64_t{2} * heads.kv * heads.dim * context * element;
  const int sequences = static_cast<int>(std::max<std::int64_t>(2, kCold / bytes));
  CachedHarness harness(row, c, sequences, context + 1);
  harness.pretend(context);
  harness.fill({{0, 1}});
  int turn = 0;
  for (auto _ : state) {
    harness.turn_to(turn++ % sequences);
    harness.invoke();
  }
  report(state, static_cast<double>(bytes), 4.0 * heads.q * heads.dim * context);
}

void prefill(benchmark::State& state, const KernelRow& row, const Heads& heads, int rows) {
  CachedHarness harness(row, case_of(row, heads), 1, rows);
  harness.fill({{0, rows}});
  for (auto _ : state) harness.invoke();
  report(state, 0.0, 4.0 * heads.q * heads.dim * rows * (rows + 1.0) / 2.0);
}

const bool kRegistered = [] {
  for (const KernelRow& row : attention_rows()) {
    if (!row.uses_state || row.isa == Isa::none || row.isa > native_isa()) continue;
    for (const Heads& heads : kHeads) {
      const auto add = [&](std::string_view kind, auto body, int size) {
        const auto name =
            fmt::format("{}/{}/{}/{}/{}/{}", row.name, kind, heads.q, heads.kv, heads.dim, size);
        benchmark::RegisterBenchmark(
            name.c_str(),
            [&row, heads, body, size](benchmark::State& state) { body(state, row, heads, size); })
            ->Unit(benchmark::kMicrosecond)
            ->UseRealTime();
      };
      for (const int context : {128, 1024, 4096}) add("decode", decode, context);
      add("prefill", prefill, 512);
    }
  }
  return true;
}();

}  // namespace
}  // namespace tenon::kernels::cpu::attention
