// What can be read off the engine of a network: inputs and outputs by their roles, sizes that it
// takes, the norm at its end.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace tenon::pipelines {

/// An input or output of an engine.
struct Port {
  std::string name;
  DType dtype = DType::f32;
  DimShape shape;
};

std::vector<Port> ports(const engine::Engine& engine, const std::vector<engine::ValueIndex>& list);
/// `sample fp32 [batch, 4, h, w], timestep int64 []`
std::string listed(const std::vector<Port>& ports);

/// The port called `name` with that rank, else the only one of that rank; null when there is none.
const Port* find_port(const std::vector<Port>& ports, std::string_view name, std::size_t rank);
/// The same; Error(bad_input) names `part` and lists what there is.
Port need_port(const std::vector<Port>& ports, std::string_view name, std::size_t rank,
               std::string_view part);
/// The size when it is a number, 0 when it is open.
std::int64_t fixed(const Port& port, std::size_t axis);

/// The least power of two that the sides of latents must be multiples of: what the engine assumes
/// of its sizes is tried on odd multiples. 0 when none to 64 will do, or the sizes have no names.
std::int64_t least_multiple(const engine::Engine& engine, const Port& sample);

/// The layer norm that makes a value, as float32; empty where it cannot be found.
struct FinalNorm {
  std::optional<Tensor> gamma;
  std::optional<Tensor> beta;
};
/// By the step that makes `output`, else by the names of its weights (equal constants are kept
/// once, under one of their names).
FinalNorm norm_of(const engine::Engine& engine, std::string_view output);
/// Each row of gamma.size() values: (x - mean) / sqrt(variance + epsilon) * gamma + beta.
void apply_norm(std::span<float> rows, std::span<const float> gamma, std::span<const float> beta,
                double epsilon);

}  // namespace tenon::pipelines
