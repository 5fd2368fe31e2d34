#include "verify/tensor_comparison.h"

#include <chrono>
#include <cmath>

#include "base/clock.h"
#include "base/error.h"
#include "tensor/npy.h"
#include "verify/constants.h"
#include "verify/hypotheses.h"
#include "verify/output_errors.h"
#include "verify/trace.h"

namespace tenon::verify {
namespace {

using Clock = std::chrono::steady_clock;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// Below it no mistake of a caller is looked for: such mistakes change everything.
constexpr double kGross = 0.02;

template <typename Body>
auto timed(double& seconds, Body&& body) {
  const auto start = Clock::now();
  auto result = body();
  seconds += seconds_since(start);
  return result;
}

void settle(const OutputAccumulator& sums, const Budget& budget, Report& report) {
  report.outputs = sums.result();
  report.metrics = sums.metrics();
  report.budget = budget;
  for (const OutputError& output : report.outputs) {
    for (auto& violation : budget.violations(output))
      report.violations.push_back(std::move(violation));
  }
  report.passed = report.violations.empty();
}

bool wants_trace(const Options& options, const Report& report) {
  return options.trace == Trace::always || (options.trace == Trace::on_failure && !report.passed);
}

ValueError output_error(const Report& report) {
  ValueError error;
  error.value = report.outputs.empty() ? "outputs" : report.outputs[0].output;
  error.relative = report.metrics.relative_l2;
  error.max_difference = report.metrics.max_abs;
  return error;
}

void conclude(const ValueError& error, const engine::Engine* a, const engine::Engine& b,
              const std::optional<TensorExperiment>& experiment, Report& report) {
  Evidence evidence{b};
  evidence.a = a;
  evidence.error = &error;
  evidence.step = writer_of(b, error.value);
  evidence.tensors = experiment ? &*experiment : nullptr;
  report.first_departure = departure_of(error, evidence);
}

bool finite(const ValueError& error) { return error.not_finite + error.nan_in_both == 0; }

// What is right stands in A's outputs.
void diagnose(TensorSubject& a, TensorSubject& b, const TensorRun& run, const Pairs& pairs,
              const Options& options, Report& report) {
  report.values = trace(a.watched(run.inputs), b.watched(run.inputs), options.max_bytes);
  const auto first = find_departure(b.engine(), report.values);
  if (report.passed) return;
  const auto shown = first ? first : most_suspect(report.values);
  if (report.values.empty())
    report.notes.push_back("A and B have no values of the same name and size");
  const ValueError error = shown ? report.values[*shown] : output_error(report);
  std::optional<TensorExperiment> experiment;
  const bool gross = report.metrics.relative_l2 > kGross && report.metrics.finite;
  if (gross && finite(error)) {
    const session::TensorMap wanted = a.run(run.inputs);
    experiment = run_tensor_experiments(b, run.inputs, wanted, pairs);
    if (!experiment)
      experiment = find_other_output(a.watched(run.inputs), wanted, b.run(run.inputs), pairs);
  }
  conclude(error, &a.engine(), b.engine(), experiment, report);
}

Tensor named(const std::map<std::string, Tensor, std::less<>>& arrays, const std::string& prefix,
             const std::string& name) {
  auto found = arrays.find(prefix + name);
  if (found == arrays.end()) found = arrays.find(name);
  return found == arrays.end() ? Tensor() : found->second;
}

struct Recording {
  TensorRun run;
  session::TensorMap outputs;
};

Recording read_recording(const TensorSubject& b, const std::filesystem::path& npz) {
  const auto arrays = read_npz(npz);
  std::string there;
  for (const auto& [name, tensor] : arrays) there += (there.empty() ? "" : ", ") + name;
  Recording recorded;
  recorded.run.what = npz.filename().string();
  for (const auto index : b.engine().inputs) {
    const std::string& name = b.engine().values[static_cast<std::size_t>(index)].name;
    Tensor tensor = named(arrays, "in:", name);
    if (tensor.data() == nullptr) {
      bad_input("{}: holds no array in:{} (or {}) for that input of {}; there are {}", npz.string(),
                name, name, b.name(), there);
    }
    recorded.run.inputs.emplace(name, std::move(tensor));
  }
  for (const std::string& name : output_names(b.engine())) {
    Tensor tensor = named(arrays, "out:", name);
    if (tensor.data() != nullptr) recorded.outputs.emplace(name, std::move(tensor));
  }
  if (recorded.outputs.empty()) {
    bad_input("{}: holds no array out:NAME for an output of {}; there are {}", npz.string(),
              b.name(), there);
  }
  return recorded;
}

void diagnose(const Recording& recorded, TensorSubject& b, const Pairs& pairs, const Budget& budget,
              const Options& options, TensorSubject* reference, Report& report) {
  if (auto broken = first_not_finite(b.watched(recorded.run.inputs))) {
    conclude(*broken, nullptr, b.engine(), std::nullopt, report);
    return;
  }
  if (report.passed) return;
  std::optional<TensorExperiment> experiment;
  if (report.metrics.relative_l2 > kGross)
    experiment = run_tensor_experiments(b, recorded.run.inputs, recorded.outputs, pairs);
  if (!experiment && reference != nullptr) {
    const double error =
        relative_error(output_pairs(output_names(b.engine()), output_names(reference->engine())),
                       recorded.outputs, reference->run(recorded.run.inputs));
    if (error <= budget.relative_l2.value_or(kGross)) {
      report.notes.push_back(
          "values are compared with the reference run, which agrees with the "
          "recording");
      diagnose(*reference, b, recorded.run, pairs, options, report);
      return;
    }
    report.notes.push_back(fmt::format(
        "the reference run does not agree with the recording either (relative error {:.2g})",
        error));
  }
  conclude(output_error(report), nullptr, b.engine(), experiment, report);
}

}  // namespace

Report compare_tensors(TensorSubject& a, TensorSubject& b, std::span<const TensorRun> runs,
                       const Budget& budget, const Options& options) {
  budget.require_for_tensors();
  if (runs.empty()) fail(ErrorCode::usage, "there are no inputs to compare on");
  Report report;
  report.name_a = a.name();
  report.name_b = b.name();
  report.precision_a = a.engine().precision;
  report.precision_b = b.engine().precision;
  const Pairs pairs = output_pairs(output_names(a.engine()), output_names(b.engine()));
  OutputAccumulator sums(pairs);
  for (const TensorRun& run : runs) {
    const auto from_a = timed(report.seconds_a, [&] { return a.run(run.inputs); });
    const auto from_b = timed(report.seconds_b, [&] { return b.run(run.inputs); });
    sums.add(from_a, from_b);
    report.runs.push_back(run.what);
  }
  settle(sums, budget, report);
  if (!wants_trace(options, report)) return report;
  report.traced_prompt = static_cast<std::int64_t>(sums.worst_run());
  timed(report.seconds_diagnosis, [&] {
    diagnose(a, b, runs[sums.worst_run()], pairs, options, report);
    return 0;
  });
  return report;
}

Report compare_tensors_with_recording(TensorSubject& b, const std::filesystem::path& npz,
                                      const Budget& budget, const Options& options,
                                      TensorSubject* reference) {
  budget.require_for_tensors();
  const Recording recorded = read_recording(b, npz);
  Report report;
  report.name_a = npz.string();
  report.name_b = b.name();
  report.precision_a = "recorded";
  report.precision_b = b.engine().precision;
  report.runs.push_back(recorded.run.what);
  Pairs pairs;
  for (const auto& [name, tensor] : recorded.outputs) pairs.emplace_back(name, name);
  OutputAccumulator sums(pairs);
  sums.add(recorded.outputs, timed(report.seconds_b, [&] { return b.run(recorded.run.inputs); }));
  settle(sums, budget, report);
  if (!wants_trace(options, report)) return report;
  report.traced_prompt = 0;
  timed(report.seconds_diagnosis, [&] {
    diagnose(recorded, b, pairs, budget, options, reference, report);
    return 0;
  });
  return report;
}

}  // namespace tenon::verify
