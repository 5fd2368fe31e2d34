// The fields of a JSON request that hold an answer to a form: OpenAI's response_format, vLLM's
// guided_* and structured_outputs, llama.cpp's grammar and json_schema.
#pragma once

#include "pipelines/text_generation/config.h"
#include "serving/served_model.h"

namespace tenon::serving {

/// Sets `config.constraint` when `fields` ask for one, else changes nothing. Keys of schemas keep
/// the order that they have in `fields`. Compiles, so it may take seconds: never in the engine's
/// thread. Error(bad_input) names the field and what of it is not offered, with its path; two
/// constraints in one request are refused too.
void apply_constraint(pipelines::GenerationConfig& config, const text::OrderedJson& fields,
                      TextService& service);

}  // namespace tenon::serving
