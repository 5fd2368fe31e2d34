// What one independent sequence needs, whoever runs the loop: limits at its start, then one token
// after the other.
#pragma once

#include <cstdint>
#include <span>

#include "pipelines/text_generation/config.h"
#include "pipelines/text_generation/generate.h"
#include "pipelines/text_generation/sampler.h"
#include "pipelines/text_generation/sequence_state.h"

namespace tenon::pipelines {

/// Error(usage) when the prompt is empty, has ids outside of the vocabulary, or leaves no room in
/// the context.
void check_prompt(std::span<const std::int32_t> prompt, std::int64_t vocabulary,
                  std::int64_t context);

/// The most tokens of a sequence, prompt included. Error(usage) when max_length leaves none.
std::int64_t length_limit(const GenerationConfig& config, std::int64_t prompt_length,
                          std::int64_t context);

/// That of the config, else another one every time.
std::uint64_t choose_seed(const GenerationConfig& config);

/// Chooses the token after `state` from the model's `scores` for it, which are changed, and appends
/// it. `sequence` is its number in the request: with the position it decides the draw. The event's
/// logprobs point into `state`. Error(check_failed) for NaN.
TokenEvent next_token(const GenerationConfig& config, std::int64_t max_length,
                      const RandomNumbers& numbers, int sequence, std::span<float> scores,
                      SequenceState& state);

}  // namespace tenon::pipelines
