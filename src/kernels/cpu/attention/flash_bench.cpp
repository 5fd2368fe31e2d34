// tenon.Attention at the sizes of Stable Diffusion's UNet, VAE and text encoder, every row of this
// machine, beside the peak of the multiply-add that the row uses. Names: row/what/batch/heads/
// queries/keys/head dim; `of_peak` counts the two products alone, the softmax comes on top.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "kernels/cpu/attention/flash_harness.h"
#include "kernels/cpu/linear/probes.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct Sizes {
  std::string_view what;
  FlashCase sizes;
};

FlashCase self(std::int64_t batch, std::int64_t heads, std::int64_t tokens, std::int64_t dim) {
  return {.batch = batch,
          .heads = heads,
          .kv_heads = heads,
          .queries = tokens,
          .keys = tokens,
          .dim = dim,
          .merged = true};
}

FlashCase cross(std::int64_t batch, std::int64_t heads, std::int64_t tokens, std::int64_t dim) {
  return {
      .batch = batch, .heads = heads, .kv_heads = heads, .queries = tokens, .keys = 77, .dim = dim};
}

FlashCase causal(std::int64_t batch, std::int64_t heads, std::int64_t tokens, std::int64_t dim) {
  FlashCase made = self(batch, heads, tokens, dim);
  made.causal = true;
  return made;
}

const Sizes kSizes[] = {
    {"unet2_self", self(2, 5, 4096, 64)},   {"unet2_self", self(2, 10, 1024, 64)},
    {"unet2_self", self(2, 20, 256, 64)},   {"unet2_self", self(2, 20, 64, 64)},
    {"unet2_cross", cross(2, 5, 4096, 64)}, {"unet2_cross", cross(2, 10, 1024, 64)},
    {"unet2_cross", cross(2, 20, 256, 64)}, {"unet2_cross", cross(2, 20, 64, 64)},
    {"unet1_self", self(2, 8, 4096, 40)},   {"unet1_self", self(2, 8, 1024, 80)},
    {"unet1_self", self(2, 8, 256, 160)},   {"unet2_self_768", self(2, 5, 9216, 64)},
    {"vae", self(1, 1, 4096, 512)},         {"clip", causal(2, 16, 77, 64)},
};

double peak(bool bf16) {
  static const auto kPeaks = [] {
    ThreadPool pool;
    double best[2] = {0.0, 0.0};
    for (int i = 0; i < 7; ++i) {
      best[0] = std::max(best[0], multiply_peak(pool, DType::f32));
      best[1] = std::max(best[1], multiply_peak(pool, DType::bf16));
    }
    return std::pair(best[0], best[1]);
  }();
  return bf16 ? kPeaks.second : kPeaks.first;
}

void attend(benchmark::State& state, const KernelRow& row, const FlashCase& c) {
  FlashHarness harness(c);
  harness.bind(row, 0);
  harness.invoke();
  for (auto _ : state) harness.invoke();
  const auto size = [](std::int64_t n) { return static_cast<double>(n); };
  const double pairs =
      c.causal ? size(c.queries) * size(c.queries + 1) / 2.0 : size(c.queries) * size(c.keys);
  const double operations = 4.0 * size(c.batch * c.heads) * pairs * size(c.dim);
  const double all = operations * size(static_cast<std::int64_t>(state.iterations()));
  state.counters["flops"] = benchmark::Counter(all, benchmark::Counter::kIsRate);
  const bool bf16 = row.name.find("bf16") != std::string_view::npos;
  state.counters["of_peak"] = benchmark::Counter(all / peak(bf16), benchmark::Counter::kIsRate);
}

const bool kRegistered = [] {
  for (const KernelRow& row : attention_rows()) {
    if (row.op != "tenon.Attention" || row.isa == Isa::none || row.isa > native_isa()) continue;
    for (const Sizes& sizes : kSizes) {
      const FlashCase& c = sizes.sizes;
      const auto name = fmt::format("{}/{}/{}/{}/{}/{}/{}", row.name, sizes.what, c.batch, c.heads,
                                    c.queries, c.keys, c.dim);
      benchmark::RegisterBenchmark(name.c_str(),
                                   [&row, &c](benchmark::State& state) { attend(state, row, c); })
          ->Unit(benchmark::kMicrosecond)
          ->UseRealTime();
    }
  }
  return true;
}();

}  // namespace
}  // namespace tenon::kernels::cpu::attention
