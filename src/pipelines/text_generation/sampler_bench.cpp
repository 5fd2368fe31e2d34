// What a draw costs beside the step of a model: one sequence, scores of a whole vocabulary.
#include <vector>

#include <benchmark/benchmark.h>

#include "pipelines/text_generation/processors.h"
#include "pipelines/text_generation/sampler.h"
#include "pipelines/text_generation/toy_decoder.h"

namespace tenon::pipelines {
namespace {

std::vector<float> scores_of(std::int64_t vocabulary) {
  std::vector<float> scores(static_cast<std::size_t>(vocabulary));
  ToyModel{5, static_cast<int>(vocabulary), 24}.scores(1, 2, scores);
  return scores;
}

void draw_one(benchmark::State& state) {
  const std::vector<float> scores = scores_of(state.range(0));
  const RandomNumbers numbers(1);
  std::uint64_t position = 0;
  for (auto _ : state) benchmark::DoNotOptimize(draw(scores, numbers.uniform(0, position++)));
}
BENCHMARK(draw_one)->Arg(32'000)->Arg(151'936);

void keep_top_p(benchmark::State& state) {
  const std::vector<float> scores = scores_of(state.range(0));
  GenerationConfig config;
  config.do_sample = true;
  config.top_k = 0;
  config.top_p = 0.9;
  std::vector<float> kept;
  for (auto _ : state) {
    kept = scores;
    apply_warpers(config, 1, kept);
    benchmark::DoNotOptimize(kept.data());
  }
}
BENCHMARK(keep_top_p)->Arg(32'000)->Arg(151'936);

}  // namespace
}  // namespace tenon::pipelines
