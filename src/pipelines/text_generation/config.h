// GenerationConfig: everything that decides which tokens are chosen and when to stop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/grammar/constraint.h"

namespace tenon::pipelines {

enum class EarlyStopping {
  heuristic,  ///< "false": stop when the best running beam, at its length now, cannot win
  first,      ///< "true": stop when num_beams hypotheses are finished
  never,      ///< stop only when no running beam can ever win
};

/// Names, meaning and defaults are those of transformers' GenerationConfig, unless said otherwise.
/// Plain data: fill it, then validate() once the vocabulary is known.
struct GenerationConfig {
  // Length. Neither given: up to the context length of the model.
  std::optional<std::int64_t> max_new_tokens;
  std::optional<std::int64_t> max_length;  // prompt included; max_new_tokens goes before it
  std::int64_t min_new_tokens = 0;         // no eos before
  std::int64_t min_length = 0;             // the same, prompt included

  // Sampling; temperature 0 means greedy whatever do_sample says.
  bool do_sample = false;
  double temperature = 1;
  std::int64_t top_k = 50;  // 0: off
  double top_p = 1;
  std::optional<double> min_p;
  double typical_p = 1;
  double epsilon_cutoff = 0;
  double eta_cutoff = 0;
  std::optional<std::uint64_t> seed;  // not given: another one every time

  // Changes of the scores.
  double repetition_penalty = 1;  // over prompt and generated tokens
  double presence_penalty = 0;    // OpenAI's two: over generated tokens only
  double frequency_penalty = 0;
  std::int64_t no_repeat_ngram_size = 0;
  std::map<std::int32_t, double> logit_bias;  // added before all else
  std::vector<std::vector<std::int32_t>> bad_words_ids;
  std::vector<std::int32_t> suppress_tokens;
  std::vector<std::int32_t> begin_suppress_tokens;
  std::optional<std::int32_t> forced_bos_token_id;
  std::vector<std::int32_t> forced_eos_token_id;
  std::optional<std::pair<std::int64_t, double>> exponential_decay_length_penalty;
  bool remove_invalid_values = false;
  bool renormalize_logits = false;

  // Beams.
  std::int64_t num_beams = 1;
  double length_penalty = 1;
  EarlyStopping early_stopping = EarlyStopping::heuristic;
  std::int64_t num_return_sequences = 1;

  // Ends.
  std::vector<std::int32_t> eos_token_ids;
  std::vector<std::int32_t> stop_token_ids;
  std::vector<std::string> stop_strings;

  /// What the generated text must match; it ends with the constraint when nothing more can come
  /// ("stop"). Tokens are those of the model's tokenizer; a length limit may cut the text short.
  std::shared_ptr<const text::grammar::Constraint> constraint;

  /// Log-probabilities of each token under the model's own distribution (before any change
  /// above), with this many of the likeliest beside it; not given: none are kept.
  std::optional<std::int64_t> logprobs;

  /// From generation_config.json. Keys that are absent or null keep the defaults above; keys of
  /// strategies that are not offered are warned of and ignored.
  static GenerationConfig from_json(const Json& json);

  /// Error(usage) that names the field, what was found and the range expected.
  void validate(std::int64_t vocabulary) const;

  /// Tokens are drawn at random, not by the highest score.
  bool samples() const { return do_sample && temperature > 0; }
};

}  // namespace tenon::pipelines
