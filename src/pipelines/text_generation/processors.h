// Changes of the scores before a token is chosen, in the order in which transformers applies them.
#pragma once

#include <cstdint>
#include <span>

#include "pipelines/text_generation/config.h"
#include "text/grammar/constraint.h"

namespace tenon::pipelines {

/// The tokens of one sequence so far.
struct History {
  std::span<const std::int32_t> ids;  ///< prompt, then generated
  std::int64_t prompt_length = 0;
  std::int64_t max_length = 0;                         ///< prompt included
  const text::grammar::Matcher* constraint = nullptr;  ///< where the text stands in it
};

/// Bias, penalties, bans and forced tokens, in this order: logit_bias, repetition_penalty,
/// no_repeat_ngram_size, bad_words_ids, min_length, min_new_tokens, forced tokens,
/// remove_invalid_values, exponential decay, suppressed tokens, presence and frequency penalties;
/// last, what the constraint forbids.
/// `scores`: one row over the vocabulary, logits or log-probabilities.
void apply_processors(const GenerationConfig& config, const History& history,
                      std::span<float> scores);

/// What shapes the distribution that is drawn from: temperature, top_k, top_p, min_p, typical_p,
/// epsilon_cutoff, eta_cutoff. Keeps `min_tokens_to_keep` tokens at least. Does nothing unless
/// config.samples().
void apply_warpers(const GenerationConfig& config, std::int64_t min_tokens_to_keep,
                   std::span<float> scores);

/// Both, then renormalize_logits.
void process_scores(const GenerationConfig& config, const History& history,
                    std::int64_t min_tokens_to_keep, std::span<float> scores);

}  // namespace tenon::pipelines
