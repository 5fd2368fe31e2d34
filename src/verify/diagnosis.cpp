#include "verify/diagnosis.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "verify/constants.h"
#include "verify/hypotheses.h"
#include "verify/source_values.h"
#include "verify/trace.h"

namespace tenon::verify {
namespace {

Tensor first_rows(const Tensor& tensor, std::size_t rows) {
  Shape shape = tensor.shape();
  shape[0] = static_cast<std::int64_t>(rows);
  Tensor cut(tensor.dtype(), shape);
  std::memcpy(cut.data(), tensor.data(), cut.bytes());
  return cut;
}

std::span<const std::int32_t> traced_part(std::span<const std::int32_t> ids,
                                          const Options& options) {
  const auto limit = static_cast<std::size_t>(std::max<std::int64_t>(options.max_trace_tokens, 1));
  return ids.first(std::min(ids.size(), limit));
}

void note_experiments(const Experiments& experiments, Report& report) {
  if (experiments.sound) {
    report.notes.push_back(fmt::format(
        "the checkpoint is sound: its reference run agrees with A (relative error {:.2g})",
        experiments.unedited));
  } else {
    report.notes.push_back(fmt::format(
        "the reference run of the checkpoint departs too (relative error {:.2g}); {} changes tried",
        experiments.unedited, experiments.tried));
  }
}

// Compares B with the corrected model, which is cut off after the layer that departs.
std::optional<ValueError> walk_with(const Experiment& corrected, Subject& b, const Truth& truth,
                                    const Options& options, Report& report) {
  Subject right(corrected.edit.cause + " corrected", corrected.engine, b.backend());
  std::vector<ValueError> values =
      trace(right.watched(truth.ids), b.watched(truth.ids), options.max_bytes);
  const auto first = find_departure(b.engine(), values);
  if (!first) return std::nullopt;
  if (truth.layer >= 0) {
    const auto outputs = layer_outputs(b.engine());
    const auto layer = static_cast<std::size_t>(truth.layer);
    if (layer < outputs.size()) {
      const auto& last = b.engine().values[static_cast<std::size_t>(outputs[layer])].name;
      const auto end = std::find_if(values.begin(), values.end(),
                                    [&](const ValueError& e) { return e.value == last; });
      if (end != values.end() && static_cast<std::size_t>(end - values.begin()) >= *first)
        values.erase(end + 1, values.end());
    }
  }
  report.notes.push_back("values are compared with the corrected model");
  report.values = std::move(values);
  return report.values[*first];
}

void conclude(const ValueError& error, Subject* a, Subject& b, const Truth& truth,
              const std::optional<Experiments>& experiments, const Options& options,
              Report& report) {
  Evidence evidence{b.engine()};
  evidence.a = a != nullptr ? &a->engine() : nullptr;
  ValueError shown = error;
  const bool finite = error.not_finite + error.nan_in_both == 0;
  if (experiments) {
    evidence.experiments = &*experiments;
    evidence.truth = &truth;
    if (experiments->best && finite) {
      if (auto refined = walk_with(*experiments->best, b, truth, options, report))
        shown = std::move(*refined);
    }
  }
  evidence.error = &shown;
  evidence.step = writer_of(b.engine(), shown.value);
  report.first_departure = departure_of(shown, evidence);
}

// The layer that a module belongs to, by the values between layers that B's steps write.
std::int64_t layer_holding(const engine::Engine& engine, const std::string& value) {
  const auto outputs = layer_outputs(engine);
  std::size_t layer = 0;
  for (const engine::Step& step : engine.steps) {
    for (const auto output : step.outputs) {
      if (output == engine::kAbsent) continue;
      if (source_name(engine.values[static_cast<std::size_t>(output)].name) == value)
        return layer < outputs.size() ? static_cast<std::int64_t>(layer) : -1;
      if (layer < outputs.size() && outputs[layer] == output) ++layer;
    }
  }
  return -1;
}

Truth truth_of(Subject& a, Subject& b, std::span<const std::int32_t> ids,
               const std::string& departing) {
  Truth truth;
  truth.ids.assign(ids.begin(), ids.end());
  truth.logits = a.logits(ids);
  truth.tolerance = *Budget::of_precision(a.engine().precision).relative_l2;
  const std::int64_t layer = layer_holding(b.engine(), departing);
  std::vector<Tensor> layers = layer >= 0 ? layer_values(a, ids) : std::vector<Tensor>();
  if (static_cast<std::size_t>(layer + 1) <= layers.size() && layer >= 0) {
    truth.layer = layer;
    truth.hidden = std::move(layers[static_cast<std::size_t>(layer)]);
  }
  return truth;
}

// Compares what the layers give on with the recording; the first that departs, or the logits.
ValueError first_departing_layer(const RecordedPrompt& prompt, Subject& b, Truth& truth,
                                 Report& report) {
  const std::vector<Tensor> layers = layer_values(b, truth.ids);
  const auto outputs = layer_outputs(b.engine());
  double before = 0;
  const auto checked = [&](const TensorView& wanted, const TensorView& found,
                           const std::string& name) {
    ValueError error;
    error.value = name;
    if (const auto* step = writer_of(b.engine(), name)) {
      error.module = step->module;
      error.op = step->op;
      error.dtype = computing_type(b.engine(), *step);
    }
    measure(wanted, found, error);
    error.explained = 10 * (rounding_of(error.dtype) + before);
    before = error.relative;
    report.values.push_back(error);
    return error;
  };
  const std::size_t comparable = std::min(layers.size(), prompt.hidden.size());
  if (comparable == 0) report.notes.push_back("no layer outputs could be compared");
  for (std::size_t layer = 0; layer < comparable; ++layer) {
    Tensor wanted = first_rows(prompt.hidden[layer], truth.ids.size());
    if (wanted.count() != layers[layer].count()) break;
    const auto& name = b.engine().values[static_cast<std::size_t>(outputs[layer])].name;
    const ValueError error = checked(wanted.view(), layers[layer].view(), name);
    if (error.relative <= error.explained && error.not_finite == 0) continue;
    truth.layer = static_cast<std::int64_t>(layer);
    truth.hidden = std::move(wanted);
    return error;
  }
  return checked(truth.logits.view(), b.logits(truth.ids).view(), "logits");
}

}  // namespace

void diagnose(Subject& a, Subject& b, std::span<const std::int32_t> prompt, const Options& options,
              Report& report) {
  const auto ids = traced_part(prompt, options);
  if (ids.size() < prompt.size())
    report.notes.push_back(
        fmt::format("values are compared on the first {} of {} tokens", ids.size(), prompt.size()));
  report.traced_tokens = static_cast<std::int64_t>(ids.size());
  report.values = trace(a.watched(ids), b.watched(ids), options.max_bytes);
  const auto first = find_departure(b.engine(), report.values);
  if (report.passed) return;
  const auto shown = first ? first : most_suspect(report.values);
  ValueError error;
  if (shown) {
    error = report.values[*shown];
  } else {
    error.value = "logits";
    if (report.values.empty())
      report.notes.push_back("A and B have no values of the same name and size");
  }
  const Truth truth = truth_of(a, b, ids, error.value);
  std::optional<Experiments> experiments;
  if (options.source != nullptr && error.not_finite + error.nan_in_both == 0) {
    experiments = run_experiments(*options.source, truth, b.backend());
    note_experiments(*experiments, report);
  }
  conclude(error, &a, b, truth, experiments, options, report);
}

void diagnose(const RecordedPrompt& prompt, Subject& b, const Options& options, Report& report) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < prompt.ids.size(); ++i) {
    if (prompt.mask[i] != 0) ids.push_back(prompt.ids[i]);
  }
  Truth truth;
  const auto part = traced_part(ids, options);
  truth.ids.assign(part.begin(), part.end());
  truth.logits = first_rows(prompt.logits, part.size());
  truth.tolerance = *Budget::of_precision("fp32").relative_l2;
  report.traced_tokens = static_cast<std::int64_t>(part.size());
  if (auto broken = first_not_finite(b.watched(part))) {
    conclude(*broken, nullptr, b, truth, std::nullopt, options, report);
    return;
  }
  const ValueError error = first_departing_layer(prompt, b, truth, report);
  if (report.passed) return;
  if (prompt.padded() && error.relative <= error.explained) {
    report.first_departure = departure_of(error, {b.engine()});
    report.first_departure->cause = "padding";
    report.first_departure->reason =
        "the answers are right without padding in front: attention_mask or position_ids is not "
        "followed";
    return;
  }
  std::optional<Experiments> experiments;
  if (options.source != nullptr) {
    experiments = run_experiments(*options.source, truth, b.backend());
    note_experiments(*experiments, report);
    if (experiments->sound) {
      Subject reference("reference run of the checkpoint", rebuild(*options.source, {}, 0),
                        b.backend());
      report.notes.push_back("values are compared with the reference run of the checkpoint");
      Options plain = options;
      plain.source = nullptr;
      diagnose(reference, b, part, plain, report);
      return;
    }
  } else {
    report.notes.push_back(
        "name the checkpoint that B was made from to have likely mistakes tried on it");
  }
  conclude(error, nullptr, b, truth, experiments, options, report);
}

}  // namespace tenon::verify
