// The steps of one independent sequence.
#include "pipelines/text_generation/sequence_steps.h"

#include <algorithm>
#include <random>
#include <vector>

#include "base/error.h"
#include "pipelines/text_generation/probabilities.h"
#include "pipelines/text_generation/processors.h"

namespace tenon::pipelines {

void check_prompt(std::span<const std::int32_t> prompt, std::int64_t vocabulary,
                  std::int64_t context) {
  if (prompt.empty()) {
    fail(ErrorCode::usage, "the prompt has no tokens, at least one was expected");
  }
  if (static_cast<std::int64_t>(prompt.size()) >= context) {
    throw Error(ErrorCode::usage,
                fmt::format("the prompt has {} tokens, the model's context holds {} and one of "
                            "them must be left for the answer",
                            prompt.size(), context))
        .hint("shorten the prompt, or raise the context length when building");
  }
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    if (prompt[i] >= 0 && prompt[i] < vocabulary) continue;
    fail(ErrorCode::usage, "token {} of the prompt is {}, the model's ids are 0 to {}", i,
         prompt[i], vocabulary - 1);
  }
}

std::int64_t length_limit(const GenerationConfig& config, std::int64_t prompt_length,
                          std::int64_t context) {
  if (config.max_new_tokens)
    return std::min(context, prompt_length + std::min(*config.max_new_tokens, context));
  if (!config.max_length) return context;
  if (*config.max_length <= prompt_length) {
    fail(ErrorCode::usage, "max_length is {}, but the prompt alone has {} tokens",
         *config.max_length, prompt_length);
  }
  return std::min(context, *config.max_length);
}

std::uint64_t choose_seed(const GenerationConfig& config) {
  if (config.seed) return *config.seed;
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

TokenEvent next_token(const GenerationConfig& config, std::int64_t max_length,
                      const RandomNumbers& numbers, int sequence, std::span<float> scores,
                      SequenceState& state) {
  if (!config.remove_invalid_values) check_logits(scores, state.length());
  std::vector<float> raw;
  if (config.logprobs) raw.assign(scores.begin(), scores.end());
  process_scores(config, state.history(max_length), 1, scores);
  check_logits(scores, state.length());
  const auto at = static_cast<std::uint64_t>(state.length());
  const std::int32_t id =
      config.samples() ? draw(scores, numbers.uniform(static_cast<std::uint64_t>(sequence), at))
                       : argmax(scores);
  if (config.logprobs) state.logprobs.push_back(token_logprobs(raw, id, *config.logprobs));
  TokenEvent event;
  event.sequence = sequence;
  event.id = id;
  event.text = state.append(id, config, max_length);
  if (config.logprobs) event.logprobs = &state.logprobs.back();
  if (state.finished()) event.finish_reason = finish_reason_name(state.reason());
  return event;
}

}  // namespace tenon::pipelines
