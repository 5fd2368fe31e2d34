// The constants of engines as numbers, whatever form they are kept in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace tenon::verify {

/// A constant in float32, unpacked; nullopt when it holds no floats or a form without a way back.
std::optional<Tensor> constant_values(const engine::Constant& constant);

/// `model.layers.0.mlp.up_proj.weight.transposed` -> `model.layers.0.mlp.up_proj.weight`
std::string source_weight_name(const std::string& constant_name);

/// NaN or infinity in one of the step's constants: a sentence that names it; nullopt when all are
/// finite.
std::optional<std::string> not_finite_constant(const engine::Engine& engine,
                                               const engine::Step& step);

/// A constant of B's step that is not the one of that name in A, more than its kept type explains:
/// a sentence that names it and where it differs most; nullopt when all agree or have no
/// counterpart.
std::optional<std::string> different_constant(const engine::Engine& a, const engine::Engine& b,
                                              const engine::Step& step);

/// The step that writes the value of that name; nullptr when none does.
const engine::Step* writer_of(const engine::Engine& engine, const std::string& value);

}  // namespace tenon::verify
