// In what a step of B differs from the one of A that writes the same value, other than its weights.
#pragma once

#include <optional>
#include <string>

#include "engine/engine.h"

namespace tenon::verify {

/// The step of the same op reads another value of A's in one place: a sentence that names both.
std::optional<std::string> reads_other_values(const engine::Engine& a, const engine::Engine& b,
                                              const engine::Step& step);

/// An epsilon, number of groups, factor or axis of the step's module, or of a module that it reads
/// from, is another one than in A: a sentence that names both. Passes keep modules, so that fused
/// steps are compared too.
std::optional<std::string> different_attribute(const engine::Engine& a, const engine::Engine& b,
                                               const engine::Step& step);

}  // namespace tenon::verify
