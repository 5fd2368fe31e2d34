// GPTNeoXForCausalLM (GPT-NeoX, Pythia, Dolly v2).
#pragma once

#include "models/model.h"

namespace tenon::models {

graph::Graph build_gpt_neox(const Json& config, const Weights& weights,
                            const BuildOptions& options);

}  // namespace tenon::models
