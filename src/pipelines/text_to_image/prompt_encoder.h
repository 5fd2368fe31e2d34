// From prompts to the states that the unet attends to: chunks of tokens, padding, weights.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/text_to_image/diffusion_models.h"
#include "text/tokenizer.h"

namespace tenon::pipelines {

struct PromptOptions {
  bool weights = true;  ///< brackets weigh; else they are characters
  bool chunks = true;   ///< long prompts in chunks; else they are cut, with a note
  std::int64_t clip_skip = 0;
};

/// Rows of the text encoder's input, each `length` long: bos, tokens, eos, padding.
struct PromptTokens {
  std::vector<std::vector<std::int32_t>> chunks;  ///< at least one
  std::vector<std::vector<float>> weights;        ///< of each token; 1 for bos, eos, padding
  bool weighted = false;                          ///< some weight is not 1
};

/// `length` >= 3 is the row's length; a row has room for length - 2 tokens. The padding is the
/// tokenizer's pad token, its eos where it has none. What happened to a long prompt is told in
/// `notes`; `what` names the prompt there. A prompt that fits gives the ids of transformers'
/// CLIPTokenizerFast with padding="max_length". Error(bad_input) for a tokenizer without bos or
/// eos.
PromptTokens tokenize_prompt(const text::Tokenizer& tokenizer, std::string_view prompt,
                             std::int64_t length, const PromptOptions& options,
                             std::string_view what, std::vector<std::string>& notes);

struct PromptStates {
  Tensor positive;  ///< [1, tokens, width]
  Tensor negative;  ///< as positive; empty when it is not wanted
};

/// Both prompts, the shorter one filled up with empty chunks. Chunks are encoded one by one and
/// follow each other along the tokens. Weighted tokens: their states times the weight, then the
/// whole chunk times a factor that restores its mean. clip_skip counts for the positive prompt
/// only, as in diffusers. Error(check_failed) when states are not finite.
PromptStates encode_prompts(DiffusionModels& models, const text::Tokenizer& tokenizer,
                            std::string_view prompt, std::string_view negative, bool with_negative,
                            const PromptOptions& options, std::vector<std::string>& notes);

}  // namespace tenon::pipelines
