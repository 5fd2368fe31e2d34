// LlamaForCausalLM.
#pragma once

#include "models/model.h"

namespace tenon::models {

graph::Graph build_llama(const Json& config, const Weights& weights, const BuildOptions& options);

}  // namespace tenon::models
