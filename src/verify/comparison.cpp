#include "verify/comparison.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "verify/diagnosis.h"
#include "verify/recording.h"

namespace tenon::verify {
namespace {

using Clock = std::chrono::steady_clock;

template <typename Body>
auto timed(double& seconds, Body&& body) {
  const auto start = Clock::now();
  auto result = body();
  seconds += seconds_since(start);
  return result;
}

void settle(const Accumulator& accumulated, const Budget& budget, Report& report) {
  report.metrics = accumulated.result();
  report.budget = budget;
  report.prompts = accumulated.prompts();
  report.kl_series = accumulated.kl_series();
  report.histogram = accumulated.histogram();
  report.violations = budget.violations(report.metrics);
  report.passed = report.violations.empty();
}

// The prompt to look into: one that is not finite before all others, then by the mean KL.
std::size_t worst_prompt(const std::vector<PromptMetrics>& prompts) {
  std::size_t worst = 0;
  const auto key = [&](std::size_t i) { return std::pair(!prompts[i].finite, prompts[i].mean_kl); };
  for (std::size_t i = 1; i < prompts.size(); ++i) {
    if (key(i) > key(worst)) worst = i;
  }
  return worst;
}

bool wants_trace(const Options& options, const Report& report) {
  return options.trace == Trace::always || (options.trace == Trace::on_failure && !report.passed);
}

// Tokens whose logits of both sides stay inside the limit.
std::size_t affordable_tokens(std::int64_t vocabulary, std::size_t max_bytes) {
  const std::size_t row = 2 * sizeof(float) * static_cast<std::size_t>(vocabulary);
  return std::max<std::size_t>(max_bytes / row, 1);
}

std::vector<Tensor> run_batch(Subject& b, std::span<const RecordedPrompt> batch) {
  std::vector<std::vector<std::int32_t>> rows;
  std::vector<std::vector<std::int64_t>> masks;
  for (const RecordedPrompt& prompt : batch) {
    rows.push_back(prompt.ids);
    masks.push_back(prompt.mask);
  }
  return b.batch_logits(rows, masks);
}

// A trace need not go beyond the worst position, but a few tokens are wanted for attention to
// attend to.
constexpr std::int64_t kFewTokens = 8;

}  // namespace

Report compare(Subject& a, Subject& b, std::span<const std::vector<std::int32_t>> prompts,
               const Budget& budget, const Options& options) {
  budget.require_for_text();
  if (prompts.empty()) fail(ErrorCode::usage, "there are no prompts to compare on");
  if (a.vocabulary() != b.vocabulary()) {
    bad_input("{} has a vocabulary of {} and {} one of {}: they are not the same model", a.name(),
              a.vocabulary(), b.name(), b.vocabulary());
  }
  Report report;
  report.name_a = a.name();
  report.name_b = b.name();
  report.precision_a = a.engine().precision;
  report.precision_b = b.engine().precision;
  Accumulator accumulated;
  const std::size_t most = affordable_tokens(a.vocabulary(), options.max_bytes);
  Progress progress("comparing", prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto ids = std::span(prompts[i]).first(std::min(prompts[i].size(), most));
    if (ids.size() < prompts[i].size()) {
      report.notes.push_back(fmt::format("prompt {} was cut from {} to {} tokens to stay in memory",
                                         i, prompts[i].size(), ids.size()));
    }
    const Tensor from_a = timed(report.seconds_a, [&] { return a.logits(ids); });
    const Tensor from_b = timed(report.seconds_b, [&] { return b.logits(ids); });
    accumulated.add(from_a.view(), from_b.view(), ids);
    progress.advance(1);
  }
  settle(accumulated, budget, report);
  if (!wants_trace(options, report)) return report;
  const std::size_t worst = worst_prompt(report.prompts);
  const PromptMetrics& prompt = report.prompts[worst];
  const std::int64_t tokens =
      std::min(prompt.tokens, std::max(prompt.worst_position + 1, kFewTokens));
  report.traced_prompt = static_cast<std::int64_t>(worst);
  timed(report.seconds_diagnosis, [&] {
    diagnose(a, b, std::span(prompts[worst]).first(static_cast<std::size_t>(tokens)), options,
             report);
    return 0;
  });
  return report;
}

Report compare_with_recording(Subject& b, const std::filesystem::path& npz, const Budget& budget,
                              const Options& options) {
  budget.require_for_text();
  const std::vector<RecordedPrompt> prompts = read_recording(npz, b.vocabulary());
  Report report;
  report.name_a = npz.string();
  report.name_b = b.name();
  report.precision_a = "recorded";
  report.precision_b = b.engine().precision;
  Accumulator accumulated;
  for (std::size_t first = 0; first < prompts.size();) {
    std::size_t end = first;
    while (end < prompts.size() && prompts[end].batch == prompts[first].batch) ++end;
    const auto batch = std::span(prompts).subspan(first, end - first);
    const std::vector<Tensor> found = timed(report.seconds_b, [&] { return run_batch(b, batch); });
    for (std::size_t i = 0; i < batch.size(); ++i) {
      accumulated.add(
          batch[i].logits.view(), found[i].view(),
          batch[i].padded() ? std::span<const std::int32_t>() : std::span(batch[i].ids));
    }
    first = end;
  }
  settle(accumulated, budget, report);
  if (!wants_trace(options, report)) return report;
  // Rows with recorded layers say more, so long as one of them is outside the budget too.
  std::size_t worst = worst_prompt(report.prompts);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const bool clearly_off = !report.prompts[i].finite ||
                             report.prompts[i].mean_kl > 0.1 * report.prompts[worst].mean_kl;
    if (prompts[worst].hidden.empty() && !prompts[i].hidden.empty() && clearly_off) worst = i;
  }
  report.traced_prompt = static_cast<std::int64_t>(worst);
  timed(report.seconds_diagnosis, [&] {
    diagnose(prompts[worst], b, options, report);
    return 0;
  });
  return report;
}

}  // namespace tenon::verify
