// Text generation: a prompt and a config become tokens, over any Decoder.
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
#include "pipelines/text_generation/stop_matcher.h"

namespace tenon::pipelines {

/// One token has been chosen. With beams nothing is settled before the end: then one event a step
/// comes with sequence and id -1, so that the search can be stopped.
struct TokenEvent {
  int sequence = 0;  ///< 0 to num_return_sequences - 1
  std::int32_t id = 0;
  std::string text;                         ///< may be empty; never part of a stop string
  const TokenLogprobs* logprobs = nullptr;  ///< when asked for; valid during the call
  const char* finish_reason = nullptr;      ///< set on the last event of a sequence
};

/// Returns false to stop; the sequences then end with the reason "cancelled".
using OnToken = std::function<bool(const TokenEvent&)>;

struct GenerationResult {
  struct Sequence {
    std::vector<std::int32_t> ids;        ///< generated tokens, the end token included
    std::string text;                     ///< up to the stop string; empty without a TextStream
    std::string finish_reason;            ///< "eos", "stop" (id or string), "length", "cancelled"
    std::vector<TokenLogprobs> logprobs;  ///< one a token, when asked for
    double score = 0;                     ///< of a beam: see BeamResult; else 0
  };
  std::vector<Sequence> sequences;  ///< num_return_sequences, the best beam first
  std::uint64_t seed = 0;           ///< what sampling used
  double prefill_s = 0;
  double decode_s = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t generated_tokens = 0;  ///< of all sequences
};

/// Generates after `prompt`. `on_token` may be empty. `text` gives the sequences their text, each
/// its own clone; without it stop_strings must be empty. All sequences of the decoder that were
/// created here are released, also when an Error passes.
/// Error(usage): a field of the config is out of range, the prompt is empty, has ids outside of
/// the vocabulary, or leaves no room in the context. Error(check_failed): the model gave NaN.
GenerationResult generate(Decoder& decoder, std::span<const std::int32_t> prompt,
                          const GenerationConfig& config, const OnToken& on_token = {},
                          const TextStream* text = nullptr);

}  // namespace tenon::pipelines
