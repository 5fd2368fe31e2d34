#include "serving/tensors/batchable.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

namespace tenon::serving {
namespace {

bool depends_on(const Dim& dim, const std::string& symbol) {
  const auto symbols = dim.symbols();
  return std::find(symbols.begin(), symbols.end(), symbol) != symbols.end();
}

bool depends_on(const DimShape& shape, const std::string& symbol) {
  return std::any_of(shape.begin(), shape.end(),
                     [&](const Dim& dim) { return depends_on(dim, symbol); });
}

// Sizes as values: they may say how many rows there are, and hold none of them.
bool is_size(const engine::Value& value) {
  return value.dtype == DType::i64 && !value.shape.empty() && value.shape.size() <= 1 &&
         value.shape.front().constant();
}

constexpr std::array<std::string_view, 8> kMixesAlongAxis = {
    "Softmax", "LogSoftmax", "CumSum", "TopK", "ArgMax", "ArgMin", "Hardmax", "LayerNormalization"};

bool mixes_rows(const engine::Engine& engine, const engine::Step& step, const std::string& rows) {
  const auto value = [&](engine::ValueIndex index) -> const engine::Value& {
    return engine.values[static_cast<std::size_t>(index)];
  };
  const bool takes_rows =
      std::any_of(step.inputs.begin(), step.inputs.end(), [&](engine::ValueIndex index) {
        return index != engine::kAbsent && depends_on(value(index).shape, rows);
      });
  if (!takes_rows) return false;
  for (const engine::ValueIndex index : step.outputs) {
    if (index == engine::kAbsent || is_size(value(index))) continue;
    // As many elements as rows, times something else.
    const auto each = element_count(value(index).shape).divided_by(Dim::symbol(rows));
    if (!each || depends_on(*each, rows)) return true;
  }
  const bool by_axis =
      std::find(kMixesAlongAxis.begin(), kMixesAlongAxis.end(), step.op) != kMixesAlongAxis.end();
  if (!by_axis || step.inputs.empty() || !step.attributes.has("axis")) return false;
  const DimShape& shape = value(step.inputs.front()).shape;
  std::int64_t axis = step.attributes.get_int("axis", -1);
  if (axis < 0) axis += static_cast<std::int64_t>(shape.size());
  return axis >= 0 && axis < static_cast<std::int64_t>(shape.size()) &&
         depends_on(shape[static_cast<std::size_t>(axis)], rows);
}

}  // namespace

std::string why_not_batchable(const engine::Engine& engine) {
  const auto value = [&](engine::ValueIndex index) -> const engine::Value& {
    return engine.values[static_cast<std::size_t>(index)];
  };
  if (engine.state.layers > 0) return "the model keeps a cache";
  if (engine.inputs.empty()) return "the model has no inputs";
  std::vector<engine::ValueIndex> ports = engine.inputs;
  ports.insert(ports.end(), engine.outputs.begin(), engine.outputs.end());
  const DimShape& first = value(ports.front()).shape;
  const std::string rows =
      first.empty() || first.front().symbols().size() != 1 ? "" : first.front().symbols().front();
  for (const engine::ValueIndex port : ports) {
    const DimShape& shape = value(port).shape;
    if (rows.empty() || shape.empty() || shape.front() != Dim::symbol(rows))
      return fmt::format(
          "{} is {}: inputs and outputs must have one free first dimension in common",
          value(port).name, to_string(shape));
    if (depends_on(DimShape(shape.begin() + 1, shape.end()), rows))
      return fmt::format("{} is {}: a later dimension depends on the first", value(port).name,
                         to_string(shape));
  }
  for (const engine::Constraint& constraint : engine.constraints) {
    if (depends_on(constraint.a, rows) || depends_on(constraint.b, rows))
      return fmt::format("the size of {} must be {} at {}", constraint.a.to_string(),
                         constraint.b.to_string(), constraint.where);
  }
  for (const engine::Step& step : engine.steps) {
    if (mixes_rows(engine, step, rows))
      return fmt::format("{} ({}) mixes rows", step.name, step.op);
  }
  return {};
}

}  // namespace tenon::serving
