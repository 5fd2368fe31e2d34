// The generation loop: prefill, choose, append, forward, until every sequence has ended.
#include "pipelines/text_generation/generate.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/error.h"
#include "pipelines/text_generation/beam_search.h"
#include "pipelines/text_generation/sequence_state.h"
#include "pipelines/text_generation/sequence_steps.h"

namespace tenon::pipelines {
namespace {

using Clock = std::chrono::steady_clock;

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
    const TokenEvent event =
        next_token(config_, max_length_, numbers_, static_cast<int>(i), scores, states_[i]);
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
  check_prompt(prompt, decoder.vocabulary(), decoder.context_length());
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
