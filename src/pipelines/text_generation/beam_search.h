// Beam search with the rules of transformers: the same candidates, scores, ends and ties.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipelines/text_generation/config.h"
#include "pipelines/text_generation/decoder.h"
#include "pipelines/text_generation/sampler.h"
#include "pipelines/text_generation/sequence_state.h"

namespace tenon::pipelines {

struct BeamResult {
  SequenceState state;
  double score = 0;  ///< sum of log-probabilities / length ^ length_penalty
};

/// The best config.num_return_sequences hypotheses, best first. `start` holds the prompt, `decoder`
/// has it in `sequence`, and `logits` is the row after it. Runs to `max_length` tokens at most,
/// prompt included. `step` is called after each step and ends the search by returning false; then
/// hypotheses that were still running are given too, marked as cancelled.
std::vector<BeamResult> beam_search(Decoder& decoder, OwnedSequence sequence,
                                    const SequenceState& start, std::vector<float> logits,
                                    const GenerationConfig& config, std::int64_t max_length,
                                    const RandomNumbers& numbers,
                                    const std::function<bool()>& step);

}  // namespace tenon::pipelines
