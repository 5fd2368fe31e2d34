#include "pipelines/text_to_image/engine_ports.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

// A constant's values, when they lie there as they are.
std::optional<Tensor> plain_constant(const engine::Engine& engine, const engine::Value& value) {
  if (value.constant < 0) return std::nullopt;
  const auto& constant = engine.constants[static_cast<std::size_t>(value.constant)];
  if (!constant.format.empty() || constant.data == nullptr) return std::nullopt;
  return converted({constant.dtype, constant.shape, constant.data.get()}, DType::f32);
}

}  // namespace

std::vector<Port> ports(const engine::Engine& engine, const std::vector<engine::ValueIndex>& list) {
  std::vector<Port> out;
  for (const auto index : list) {
    const auto& value = engine.values[static_cast<std::size_t>(index)];
    out.push_back({value.name, value.dtype, value.shape});
  }
  return out;
}

std::string listed(const std::vector<Port>& ports) {
  std::string text;
  for (const auto& port : ports) {
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", port.name, dtype_name(port.dtype),
                        to_string(port.shape));
  }
  return text;
}

const Port* find_port(const std::vector<Port>& ports, std::string_view name, std::size_t rank) {
  const Port* found = nullptr;
  int of_rank = 0;
  for (const auto& port : ports) {
    if (port.name == name && port.shape.size() == rank) return &port;
    if (port.shape.size() != rank) continue;
    found = &port;
    ++of_rank;
  }
  return of_rank == 1 ? found : nullptr;
}

Port need_port(const std::vector<Port>& ports, std::string_view name, std::size_t rank,
               std::string_view part) {
  const Port* port = find_port(ports, name, rank);
  if (port == nullptr) {
    bad_input("{}: no {} of {} dimensions; there are {}", part, name, rank, listed(ports));
  }
  return *port;
}

std::int64_t fixed(const Port& port, std::size_t axis) {
  return port.shape[axis].constant().value_or(0);
}

std::int64_t least_multiple(const engine::Engine& engine, const Port& sample) {
  for (std::int64_t multiple = 1; multiple <= 64; multiple *= 2) {
    const auto holds = [&](std::int64_t height, std::int64_t width) {
      Dim::Bindings sizes;
      for (const auto index : engine.inputs) {
        for (const auto& dim : engine.values[static_cast<std::size_t>(index)].shape) {
          for (const auto& symbol : dim.symbols()) sizes.emplace(symbol, 2);
        }
      }
      for (const std::size_t axis : {2U, 3U}) {
        const auto names = sample.shape[axis].symbols();
        if (names.size() != 1 || !(sample.shape[axis] == Dim::symbol(names[0]))) return false;
        sizes[names[0]] = multiple * (axis == 2 ? height : width);
      }
      return std::all_of(engine.constraints.begin(), engine.constraints.end(),
                         [&](const auto& c) { return c.a.evaluate(sizes) == c.b.evaluate(sizes); });
    };
    try {
      if (holds(3, 5) && holds(7, 9)) return multiple;
    } catch (const Error&) {
      return 0;  // an assumption about sizes that no input has
    }
  }
  return 0;
}

FinalNorm norm_of(const engine::Engine& engine, std::string_view output) {
  const auto value = [&](engine::ValueIndex index) -> const engine::Value& {
    return engine.values[static_cast<std::size_t>(index)];
  };
  for (const auto& step : engine.steps) {
    if (step.op == "LayerNormalization" && step.inputs.size() == 3 && step.inputs[2] >= 0 &&
        value(step.outputs[0]).name == output) {
      return {plain_constant(engine, value(step.inputs[1])),
              plain_constant(engine, value(step.inputs[2]))};
    }
  }
  FinalNorm norm;
  for (const auto& candidate : engine.values) {
    if (candidate.name.ends_with("final_layer_norm.weight")) {
      norm.gamma = plain_constant(engine, candidate);
    }
    if (candidate.name.ends_with("final_layer_norm.bias")) {
      norm.beta = plain_constant(engine, candidate);
    }
  }
  return norm;
}

void apply_norm(std::span<float> rows, std::span<const float> gamma, std::span<const float> beta,
                double epsilon) {
  const std::size_t width = gamma.size();
  for (std::size_t at = 0; at < rows.size(); at += width) {
    const auto row = rows.subspan(at, width);
    double mean = 0;
    for (const float value : row) mean += value;
    mean /= static_cast<double>(width);
    double variance = 0;
    for (const float value : row) variance += (value - mean) * (value - mean);
    const double scale = 1 / std::sqrt(variance / static_cast<double>(width) + epsilon);
    for (std::size_t i = 0; i < width; ++i) {
      row[i] = static_cast<float>((row[i] - mean) * scale * gamma[i] + beta[i]);
    }
  }
}

}  // namespace tenon::pipelines
