// How much arithmetic an engine asks for: what its speed is measured against.
#pragma once

#include <string_view>

#include "engine/engine.h"
#include "machine_limits.h"

namespace tenon::apps {

/// Multiplications and additions of the products, convolutions and attentions of one run at these
/// sizes. What else there is does not count: it is bound by memory.
double operations(const engine::Engine& engine, const Dim::Bindings& sizes);

/// Operations a second that the machine reaches at best in an engine's precision; 0: not known.
double peak_of(const MachineLimits& limits, std::string_view precision);

}  // namespace tenon::apps
