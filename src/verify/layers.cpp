// Finds the values between the layers of a decoder.
#include <charconv>
#include <optional>

#include "verify/trace.h"

namespace tenon::verify {
namespace {

using engine::Engine;
using engine::Step;
using engine::ValueIndex;

// N of "...layers.N" or "...layers.N.anything".
std::optional<std::size_t> layer_of(std::string_view module) {
  constexpr std::string_view kMark = "layers.";
  const std::size_t mark = module.find(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  const std::string_view digits = module.substr(mark + kMark.size());
  std::size_t number = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = code == std::errc() && (end == digits.data() + digits.size() || *end == '.');
  return whole ? std::optional(number) : std::nullopt;
}

// What of a norm's inputs was computed.
ValueIndex activation_of(const Engine& engine, const Step& step) {
  for (const ValueIndex input : step.inputs) {
    if (input != engine::kAbsent && engine.values[static_cast<std::size_t>(input)].constant < 0)
      return input;
  }
  return engine::kAbsent;
}

}  // namespace

std::vector<ValueIndex> layer_outputs(const Engine& engine) {
  std::vector<ValueIndex> outputs;
  std::optional<std::size_t> current;
  for (const Step& step : engine.steps) {
    const bool norm = step.op.find("Normalization") != std::string::npos;
    const std::optional<std::size_t> layer = layer_of(step.module);
    if (norm && current && layer != current) {
      if (*current != outputs.size()) return {};  // layers out of order: not a plain decoder
      outputs.push_back(activation_of(engine, step));
      current = layer;
    }
    if (!current && layer == std::size_t{0} && outputs.empty()) current = layer;
  }
  return outputs;
}

}  // namespace tenon::verify
