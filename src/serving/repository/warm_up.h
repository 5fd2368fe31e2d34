// The first runs of a model, before anybody waits for it.
#pragma once

#include <filesystem>

#include "serving/served_model.h"

namespace tenon::serving {

/// Runs the samples of `model_warmup`; Error(bad_input) when one fails, which names it. Values in
/// files are read from `folder`/warmup. Without samples: one run on zeros where sizes that requests
/// choose are 1, one token, or one step of a small picture. A model may refuse what nobody said it
/// would take: such a run is only logged. Error(interrupted) as of check_interrupt.
void warm_up(ServedModel& model, const inference::ModelConfig& config,
             const std::filesystem::path& folder);

}  // namespace tenon::serving
