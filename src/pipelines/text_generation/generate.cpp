// The generation loop: prefill, choose, append, forward, until every sequence has ended.
#include "pipelines/text_generation/generate.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "base/error.h"
#include "pipelines/text_generation/beam_search.h"
#include "pipelines/text_generation/probabilities.h"
#include "pipelines/text_generation/processors.h"
#include "pipelines/text_generation/sequence_state.h"

namespace tenon::pipelines {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check_prompt(std::span<const std::int32_t> prompt, const Decoder& decoder) {
  if (prompt.empty()) {
    fail(ErrorCode::usage, "the prompt has no tokens, at least one was expected");
  }
  const auto context = static_cast<std::size_t>(decoder.context_length());
  if (prompt.size() >= context) {
    throw Error(ErrorCode::usage,
                fmt::format("the prompt has {} tokens, the model's context holds {} and one of "
                            "them must be left for the answer",
                            prompt.size(), context))
        .hint("shorten the prompt, or raise the context length when building");
  }
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    if (prompt[i] >= 0 && prompt[i] < decoder.vocabulary()) continue;
    fail(ErrorCode::usage, "token {} of the prompt is {}, the model's ids are 0 to {}", i,
         prompt[i], decoder.vocabulary() - 1);
  }
}

/// The most tokens of a sequence, prompt included.
std::int64_t length_limit(const GenerationConfig& config, std::int64_t prompt_length,
                          std::int64_t context) {
  if (config.max_new_tokens) return std::min(context, prompt_length + *config.max_new_tokens);
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

/// Sequences that are drawn independently of each other, or the one of greedy search.
class IndependentSequences {
 public:
  IndependentSequences(Decoder& decoder, const GenerationConfig& config, std::int64_t max_length,
                       const RandomNumbers& numbers, const OnToken& on_token)
      : decoder_(decoder),
        config_(config),
        max_length_(max_length),
        numbers_(numbers),
        on_token_(on_token),
        vocabulary_(static_cast<std::size_t>(decoder.vocabulary())) {}

  void start(OwnedSequence sequence, const SequenceState& state, std::vector<float> logits) {
    const auto count = static_cast<std::size_t>(config_.num_return_sequences);
    for (std::size_t i = 0; i < count; ++i) {
      active_.push_back(i);
      states_.push_back(state);
      sequences_.push_back(i + 1 < count ? sequence.fork() : std::move(sequence));
      logits_.insert(logits_.end(), logits.begin(), logits.end());
    }
  }

  void run() {
    while (true) {
      for (std::size_t row = 0; row < active_.size(); ++row) {
        choose(active_[row], std::span(logits_).subspan(row * vocabulary_, vocabulary_));
      }
      if (is_cancelled_) {
        for (SequenceState& state : states_) {
          if (!state.finished()) state.finish(FinishReason::cancelled);
        }
      }
      std::erase_if(active_, [&](std::size_t i) { return states_[i].finished(); });
      for (std::size_t i = 0; i < states_.size(); ++i) {
        if (states_[i].finished()) sequences_[i].release();
      }
      if (active_.empty()) return;
      forward();
    }
  }

  std::vector<SequenceState>& states() { return states_; }

 private:
  void choose(std::size_t i, std::span<float> scores) {
    if (is_cancelled_) return;
    SequenceState& state = states_[i];
    if (!config_.remove_invalid_values) check_logits(scores, state.length());
    std::vector<float> raw;
    if (config_.logprobs) raw.assign(scores.begin(), scores.end());
    process_scores(config_, state.history(max_length_), 1, scores);
    check_logits(scores, state.length());
    const std::int32_t id =
        config_.samples()
            ? draw(scores, numbers_.uniform(i, static_cast<std::uint64_t>(state.length())))
            : argmax(scores);
    if (config_.logprobs) state.logprobs.push_back(token_logprobs(raw, id, *config_.logprobs));
    TokenEvent event;
    event.sequence = static_cast<int>(i);
    event.id = id;
    event.text = state.append(id, config_, max_length_);
    if (config_.logprobs) event.logprobs = &state.logprobs.back();
    if (state.finished()) event.finish_reason = finish_reason_name(state.reason());
    if (on_token_ && !on_token_(event)) is_cancelled_ = true;
  }

  void forward() {
    std::vector<std::int32_t> tokens;
    for (const std::size_t i : active_) tokens.push_back(states_[i].last());
    std::vector<Decoder::Input> inputs;
    for (std::size_t row = 0; row < active_.size(); ++row) {
      inputs.push_back({sequences_[active_[row]].id(), std::span(tokens).subspan(row, 1)});
    }
    logits_.resize(active_.size() * vocabulary_);
    decoder_.forward(inputs, logits_);
  }

  Decoder& decoder_;
  const GenerationConfig& config_;
  std::int64_t max_length_;
  const RandomNumbers& numbers_;
  const OnToken& on_token_;
  std::size_t vocabulary_;
  std::vector<SequenceState> states_;
  std::vector<OwnedSequence> sequences_;
  std::vector<std::size_t> active_;  // of states_, in the order of the rows of logits_
  std::vector<float> logits_;
  bool is_cancelled_ = false;
};

void add_result(GenerationResult& result, SequenceState&& state, double score) {
  GenerationResult::Sequence sequence;
  sequence.ids = state.generated();
  sequence.text = state.text();
  sequence.finish_reason = finish_reason_name(state.reason());
  sequence.logprobs = std::move(state.logprobs);
  sequence.score = score;
  result.generated_tokens += static_cast<std::int64_t>(sequence.ids.size());
  result.sequences.push_back(std::move(sequence));
}

}  // namespace

GenerationResult generate(Decoder& decoder, std::span<const std::int32_t> prompt,
                          const GenerationConfig& config, const OnToken& on_token,
                          const TextStream* text) {
  config.validate(decoder.vocabulary());
  check_prompt(prompt, decoder);
  if (!config.stop_strings.empty() && text == nullptr) {
    fail(ErrorCode::usage, "stop strings need a tokenizer, and the model has none");
  }
  GenerationResult result;
  result.prompt_tokens = static_cast<std::int64_t>(prompt.size());
  result.seed = choose_seed(config);
  const std::int64_t max_length =
      length_limit(config, result.prompt_tokens, decoder.context_length());
  const RandomNumbers numbers(result.seed);
  const SequenceState start(prompt, config, text == nullptr ? nullptr : text->clone());

  const auto prefill_start = Clock::now();
  OwnedSequence sequence(decoder, decoder.create());
  std::vector<float> logits(static_cast<std::size_t>(decoder.vocabulary()));
  const Decoder::Input input{sequence.id(), prompt};
  decoder.forward(std::span(&input, 1), logits);
  result.prefill_s = seconds_since(prefill_start);

  const auto decode_start = Clock::now();
  if (config.num_beams > 1) {
    const auto step = [&] { return !on_token || on_token({-1, -1, {}, nullptr, nullptr}); };
    for (BeamResult& beam : beam_search(decoder, std::move(sequence), start, std::move(logits),
                                        config, max_length, numbers, step)) {
      add_result(result, std::move(beam.state), beam.score);
    }
  } else {
    IndependentSequences independent(decoder, config, max_length, numbers, on_token);
    independent.start(std::move(sequence), start, std::move(logits));
    independent.run();
    for (SequenceState& state : independent.states()) add_result(result, std::move(state), 0);
  }
  result.decode_s = seconds_since(decode_start);
  return result;
}

}  // namespace tenon::pipelines
