// The fields of a JSON request that decide how text is chosen: the same names in every protocol.
#pragma once

#include "base/json.h"
#include "pipelines/text_generation/config.h"

namespace tenon::serving {

inline constexpr std::int64_t kMaxChoices = 16;

/// Changes `config` by max_tokens, max_new_tokens, max_completion_tokens, min_tokens, temperature,
/// top_p, top_k, min_p, typical_p, seed, n, repetition_penalty, presence_penalty,
/// frequency_penalty, stop, logit_bias, ignore_eos and stop_token_ids. Fields that are absent or
/// null change nothing. Error(bad_input) names the field, what was found and what was expected.
void apply_sampling(pipelines::GenerationConfig& config, const Json& fields);

}  // namespace tenon::serving
