#include "verify/experiments.h"

#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "verify/trace.h"

namespace tenon::verify {
namespace {

constexpr double kImprovement = 10;
constexpr double kGoodEnough = 2e-2;  // what a recording made in bfloat16 leaves

double relative_error(const TensorView& wanted, const TensorView& found) {
  if (wanted.count() != found.count()) return INFINITY;
  ValueError error;
  measure(wanted, found, error);
  return error.not_finite + error.nan_in_both > 0 ? INFINITY : error.relative;
}

}  // namespace

std::vector<Tensor> layer_values(Subject& subject, std::span<const std::int32_t> ids) {
  const engine::Engine& engine = subject.engine();
  const std::vector<engine::ValueIndex> outputs = layer_outputs(engine);
  std::map<std::string, Tensor, std::less<>> kept;
  for (const auto index : outputs) {
    if (index == engine::kAbsent) return {};
    kept.emplace(engine.values[static_cast<std::size_t>(index)].name, Tensor());
  }
  const auto keep = [&](const engine::Step&, const engine::Value& value, const TensorView& view) {
    const auto found = kept.find(value.name);
    if (found != kept.end()) found->second = converted(view, DType::f32);
  };
  subject.watched(ids).run(keep);
  std::vector<Tensor> values;
  for (const auto index : outputs) {
    values.push_back(kept.at(engine.values[static_cast<std::size_t>(index)].name));
    if (values.back().data() == nullptr) return {};
  }
  return values;
}

Experiment try_edit(const checkpoint::Checkpoint& source, Edit edit, const Truth& truth,
                    backend::Backend& backend) {
  check_interrupt();
  Experiment made;
  made.engine = rebuild(source, edit, truth.layer + 1);
  made.edit = std::move(edit);
  Subject subject(made.edit.cause, made.engine, backend);
  if (truth.layer < 0) {
    made.error = relative_error(truth.logits.view(), subject.logits(truth.ids).view());
    return made;
  }
  const std::vector<Tensor> layers = layer_values(subject, truth.ids);
  const auto layer = static_cast<std::size_t>(truth.layer);
  made.error =
      layer < layers.size() ? relative_error(truth.hidden.view(), layers[layer].view()) : INFINITY;
  return made;
}

Experiments run_experiments(const checkpoint::Checkpoint& source, const Truth& truth,
                            backend::Backend& backend) {
  Experiments result;
  result.unedited = try_edit(source, {}, truth, backend).error;
  result.sound = result.unedited <= truth.tolerance;
  if (result.sound) return result;
  for (Edit& edit : plausible_edits(source.config())) {
    result.tried += 1;
    try {
      Experiment made = try_edit(source, std::move(edit), truth, backend);
      log::debug("edit {}: relative error {:.3g}, unedited {:.3g}", made.edit.cause, made.error,
                 result.unedited);
      if (made.error > std::min(kGoodEnough, result.unedited / kImprovement)) continue;
      result.best = std::move(made);
      return result;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::interrupted) throw;
      log::debug("an edit makes no model: {}", error.what());
    }
  }
  return result;
}

}  // namespace tenon::verify
