#include "verify/differences.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "verify/constants.h"
#include "verify/source_values.h"

namespace tenon::verify {
namespace {

using engine::Engine;
using engine::Step;
using engine::ValueIndex;

constexpr std::array<std::string_view, 6> kCompared = {"epsilon", "num_groups", "groups",
                                                       "alpha",   "scale",      "axis"};

// Names of what a step reads that is computed or given, "" for what is absent or constant.
std::vector<std::string> read_values(const Engine& engine, const Step& step) {
  std::vector<std::string> names;
  for (const ValueIndex input : step.inputs) {
    if (input == engine::kAbsent) continue;
    const auto& value = engine.values[static_cast<std::size_t>(input)];
    if (value.constant < 0) names.emplace_back(source_name(std::string_view(value.name)));
  }
  return names;
}

bool has_value(const Engine& engine, const std::string& name) {
  return std::any_of(engine.values.begin(), engine.values.end(), [&](const engine::Value& value) {
    return source_name(std::string_view(value.name)) == name;
  });
}

using Settings = std::map<std::string, std::set<std::string>>;

// By name of the attribute, as texts.
Settings settings_of(const Engine& engine, const std::string& module) {
  Settings found;
  for (const Step& step : engine.steps) {
    if (step.module != module) continue;
    for (const auto& [name, attribute] : step.attributes) {
      if (std::find(kCompared.begin(), kCompared.end(), name) != kCompared.end())
        found[name].insert(attribute_text(attribute));
    }
  }
  return found;
}

std::string listed(const std::set<std::string>& texts) {
  std::string all;
  for (std::string text : texts) {
    if (text.ends_with('f')) text.pop_back();
    all += (all.empty() ? "" : ", ") + text;
  }
  return all;
}

}  // namespace

std::optional<std::string> reads_other_values(const Engine& a, const Engine& b, const Step& step) {
  for (const ValueIndex output : step.outputs) {
    if (output == engine::kAbsent) continue;
    const std::string name(
        source_name(std::string_view(b.values[static_cast<std::size_t>(output)].name)));
    const Step* writer = writer_of(a, name);
    if (writer == nullptr || writer->op != step.op) continue;
    const auto in_a = read_values(a, *writer);
    const auto in_b = read_values(b, step);
    if (in_a.size() != in_b.size()) continue;
    for (std::size_t i = 0; i < in_a.size(); ++i) {
      if (in_a[i] == in_b[i] || !has_value(a, in_b[i])) continue;
      return fmt::format(
          "the step {} reads {} where A's reads {}: a wrong layer or input was taken when the "
          "model was made; make it again from its source",
          step.name, in_b[i], in_a[i]);
    }
  }
  return std::nullopt;
}

std::optional<std::string> different_attribute(const Engine& a, const Engine& b, const Step& step) {
  std::set<std::string> modules = {step.module};
  for (const ValueIndex input : step.inputs) {
    if (input == engine::kAbsent) continue;
    const auto& name = b.values[static_cast<std::size_t>(input)].name;
    if (const Step* writer = writer_of(b, std::string(source_name(std::string_view(name)))))
      modules.insert(writer->module);
  }
  for (const std::string& module : modules) {
    if (module.empty()) continue;
    const Settings in_a = settings_of(a, module);
    for (const auto& [name, texts] : settings_of(b, module)) {
      const auto other = in_a.find(name);
      if (other == in_a.end() || other->second == texts) continue;
      return fmt::format(
          "{} of {} is {} and in A it is {}: the configuration and the exported model disagree; "
          "make the one again from the other",
          name, module, listed(texts), listed(other->second));
    }
  }
  return std::nullopt;
}

}  // namespace tenon::verify
