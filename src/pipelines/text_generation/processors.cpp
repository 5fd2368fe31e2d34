// Bias, penalties, bans and forced tokens.
#include "pipelines/text_generation/processors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "pipelines/text_generation/probabilities.h"

namespace tenon::pipelines {
namespace {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

float& at(std::span<float> scores, std::int32_t id) { return scores[static_cast<std::size_t>(id)]; }

void penalize_repetition(double factor, std::span<const std::int32_t> ids,
                         std::span<float> scores) {
  if (factor == 1) return;
  const auto penalty = static_cast<float>(factor);
  std::vector<bool> seen(scores.size());
  for (const std::int32_t id : ids) {
    if (seen[static_cast<std::size_t>(id)]) continue;
    seen[static_cast<std::size_t>(id)] = true;
    float& score = at(scores, id);
    score = score < 0 ? score * penalty : score / penalty;
  }
}

/// Bans each token that would complete an n-gram that the sequence already holds.
void ban_repeated_ngrams(std::int64_t size, std::span<const std::int32_t> ids,
                         std::span<float> scores) {
  const auto length = static_cast<std::int64_t>(ids.size());
  if (size <= 0 || length + 1 < size) return;
  const auto prefix = ids.last(static_cast<std::size_t>(size - 1));
  for (std::int64_t start = 0; start + size <= length; ++start) {
    const auto place = ids.subspan(static_cast<std::size_t>(start));
    if (std::equal(prefix.begin(), prefix.end(), place.begin())) {
      at(scores, place[static_cast<std::size_t>(size - 1)]) = kRemoved;
    }
  }
}

void ban_words(const GenerationConfig& config, std::span<const std::int32_t> ids,
               std::span<float> scores) {
  for (const auto& word : config.bad_words_ids) {
    const auto& eos = config.eos_token_ids;
    if (word.size() == 1 && std::find(eos.begin(), eos.end(), word[0]) != eos.end()) continue;
    if (word.size() > 1 && word.size() > ids.size()) continue;
    const std::span<const std::int32_t> start(word.data(), word.size() - 1);
    const auto tail = ids.last(start.size());
    if (std::equal(start.begin(), start.end(), tail.begin())) at(scores, word.back()) = kRemoved;
  }
}

void remove_all(const std::vector<std::int32_t>& ids, std::span<float> scores) {
  for (const std::int32_t id : ids) {
    // A model may be given the end token of a larger vocabulary.
    if (id >= 0 && static_cast<std::size_t>(id) < scores.size()) at(scores, id) = kRemoved;
  }
}

void force(std::span<const std::int32_t> ids, std::span<float> scores) {
  std::fill(scores.begin(), scores.end(), kRemoved);
  for (const std::int32_t id : ids) at(scores, id) = 0;
}

void replace_invalid(std::span<float> scores) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (float& score : scores) {
    if (std::isnan(score)) score = 0;
    score = std::clamp(score, -kLargest, kLargest);
  }
}

void favour_end(const GenerationConfig& config, const History& history, std::span<float> scores) {
  if (!config.exponential_decay_length_penalty) return;
  const auto& [start, factor] = *config.exponential_decay_length_penalty;
  const std::int64_t late =
      static_cast<std::int64_t>(history.ids.size()) - history.prompt_length - start;
  if (late <= 0) return;
  const auto growth = static_cast<float>(std::pow(factor, static_cast<double>(late)) - 1);
  for (const std::int32_t id : config.eos_token_ids) {
    if (static_cast<std::size_t>(id) >= scores.size()) continue;
    float& score = at(scores, id);
    score += std::abs(score) * growth;
  }
}

/// score -= count * frequency_penalty + (count > 0) * presence_penalty, as OpenAI defines them.
void penalize_generated(const GenerationConfig& config, const History& history,
                        std::span<float> scores) {
  if (config.presence_penalty == 0 && config.frequency_penalty == 0) return;
  std::unordered_map<std::int32_t, int> counts;
  for (const std::int32_t id :
       history.ids.subspan(static_cast<std::size_t>(history.prompt_length))) {
    ++counts[id];
  }
  for (const auto& [id, count] : counts) {
    at(scores, id) -=
        static_cast<float>(count * config.frequency_penalty + config.presence_penalty);
  }
}

}  // namespace

void apply_processors(const GenerationConfig& config, const History& history,
                      std::span<float> scores) {
  const auto length = static_cast<std::int64_t>(history.ids.size());
  const std::int64_t generated = length - history.prompt_length;
  for (const auto& [id, bias] : config.logit_bias) at(scores, id) += static_cast<float>(bias);
  penalize_repetition(config.repetition_penalty, history.ids, scores);
  ban_repeated_ngrams(config.no_repeat_ngram_size, history.ids, scores);
  ban_words(config, history.ids, scores);
  if (length < config.min_length || generated < config.min_new_tokens) {
    remove_all(config.eos_token_ids, scores);
  }
  if (config.forced_bos_token_id && length == 1) {
    force(std::span(&*config.forced_bos_token_id, 1), scores);
  }
  if (!config.forced_eos_token_id.empty() && length == history.max_length - 1) {
    force(config.forced_eos_token_id, scores);
  }
  if (config.remove_invalid_values) replace_invalid(scores);
  favour_end(config, history, scores);
  remove_all(config.suppress_tokens, scores);
  const bool skips_bos = config.forced_bos_token_id && history.prompt_length == 1;
  if (generated == (skips_bos ? 1 : 0)) remove_all(config.begin_suppress_tokens, scores);
  penalize_generated(config, history, scores);
  if (history.constraint != nullptr) {
    std::vector<std::int32_t> ends = config.eos_token_ids;
    ends.insert(ends.end(), config.stop_token_ids.begin(), config.stop_token_ids.end());
    history.constraint->apply(ends, scores);
  }
}

void process_scores(const GenerationConfig& config, const History& history,
                    std::int64_t min_tokens_to_keep, std::span<float> scores) {
  apply_processors(config, history, scores);
  apply_warpers(config, min_tokens_to_keep, scores);
  if (config.renormalize_logits) log_softmax(scores);
}

}  // namespace tenon::pipelines
