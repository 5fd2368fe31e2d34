#include "pipelines/text_to_image/prompt_encoder.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "pipelines/text_to_image/latents.h"
#include "pipelines/text_to_image/prompt_weights.h"

namespace tenon::pipelines {
namespace {

struct Frame {
  std::int32_t bos, eos, pad;
};

Frame frame_of(const text::Tokenizer& tokenizer) {
  if (!tokenizer.bos() || !tokenizer.eos()) {
    throw Error(ErrorCode::bad_input, "the tokenizer names no token for the begin or the end")
        .hint("CLIP tokenizers do: add tokenizer_config.json and special_tokens_map.json");
  }
  return {*tokenizer.bos(), *tokenizer.eos(), tokenizer.pad().value_or(*tokenizer.eos())};
}

void add_chunk(PromptTokens& tokens, const Frame& frame, std::size_t length,
               std::span<const std::int32_t> ids, std::span<const float> weights) {
  auto& row = tokens.chunks.emplace_back(length, frame.pad);
  auto& row_weights = tokens.weights.emplace_back(length, 1.0F);
  row[0] = frame.bos;
  std::copy(ids.begin(), ids.end(), row.begin() + 1);
  std::copy(weights.begin(), weights.end(), row_weights.begin() + 1);
  row[ids.size() + 1] = frame.eos;
}

// In rows of `length` ids as the encoder takes them: [1, length], int64.
Tensor ids_tensor(const std::vector<std::int32_t>& ids) {
  const std::vector<std::int64_t> wide(ids.begin(), ids.end());
  return Tensor::from_ints({1, static_cast<std::int64_t>(wide.size())}, wide);
}

double mean_of(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

void apply_weights(std::span<float> states, const std::vector<float>& weights) {
  const std::size_t width = states.size() / weights.size();
  const double before = mean_of(states);
  for (std::size_t t = 0; t < weights.size(); ++t) {
    for (std::size_t i = 0; i < width; ++i) states[t * width + i] *= weights[t];
  }
  const double after = mean_of(states);
  if (after == 0 || !std::isfinite(before / after)) return;
  const auto factor = static_cast<float>(before / after);
  for (float& value : states) value *= factor;
}

Tensor encode_chunks(DiffusionModels& models, const PromptTokens& tokens, std::int64_t clip_skip,
                     std::string_view what) {
  const auto& facts = models.facts();
  Tensor all;
  std::size_t filled = 0;
  for (std::size_t i = 0; i < tokens.chunks.size(); ++i) {
    Tensor states = models.encode_text(ids_tensor(tokens.chunks[i]), clip_skip);
    if (states.shape().size() != 3 || states.shape()[1] != facts.text_length) {
      bad_input("text_encoder: states of {} for {} tokens", to_string(states.shape()),
                facts.text_length);
    }
    require_finite(states.as<float>(), fmt::format("text_encoder: the states of the {}", what));
    if (tokens.weighted) apply_weights(states.as<float>(), tokens.weights[i]);
    if (tokens.chunks.size() == 1) return states;
    if (i == 0) {
      const auto rows = static_cast<std::int64_t>(tokens.chunks.size()) * facts.text_length;
      all = Tensor(DType::f32, {1, rows, states.shape()[2]});
    }
    const auto part = states.as<float>();
    std::copy(part.begin(), part.end(),
              all.as<float>().begin() + static_cast<std::ptrdiff_t>(filled));
    filled += part.size();
  }
  return all;
}

}  // namespace

PromptTokens tokenize_prompt(const text::Tokenizer& tokenizer, std::string_view prompt,
                             std::int64_t length, const PromptOptions& options,
                             std::string_view what, std::vector<std::string>& notes) {
  const Frame frame = frame_of(tokenizer);
  const auto row = static_cast<std::size_t>(length);
  const std::size_t room = row - 2;
  PromptTokens tokens;
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
  auto parts = options.weights ? parse_prompt_weights(prompt)
                               : std::vector<WeightedText>{{std::string(prompt), 1}};
  for (const auto& part : parts) {
    const auto more = tokenizer.encode(part.text, {.add_special_tokens = false});
    ids.insert(ids.end(), more.begin(), more.end());
    weights.resize(ids.size(), static_cast<float>(part.weight));
    tokens.weighted |= part.weight != 1 && !more.empty();
  }
  if (tokens.weighted) {
    notes.push_back(fmt::format("brackets in the {} weigh words; \\( is a bracket itself", what));
  }
  if (ids.size() > room && !options.chunks) {
    const std::span cut = std::span(ids).subspan(room);
    notes.push_back(fmt::format("the {} has {} tokens, {} fit; cut off: \"{}\"", what, ids.size(),
                                room, tokenizer.decode(cut)));
    ids.resize(room);
  }
  for (std::size_t at = 0; at == 0 || at < ids.size(); at += room) {
    const std::size_t count = std::min(room, ids.size() - at);
    add_chunk(tokens, frame, row, std::span(ids).subspan(at, count),
              std::span<const float>(weights).subspan(at, count));
  }
  if (tokens.chunks.size() > 1) {
    notes.push_back(
        fmt::format("the {} has {} tokens and goes through the text encoder in {} chunks "
                    "of {}",
                    what, ids.size(), tokens.chunks.size(), room));
  }
  return tokens;
}

PromptStates encode_prompts(DiffusionModels& models, const text::Tokenizer& tokenizer,
                            std::string_view prompt, std::string_view negative, bool with_negative,
                            const PromptOptions& options, std::vector<std::string>& notes) {
  const std::int64_t length = models.facts().text_length;
  PromptTokens positive = tokenize_prompt(tokenizer, prompt, length, options, "prompt", notes);
  PromptStates states;
  if (!with_negative) {
    states.positive = encode_chunks(models, positive, options.clip_skip, "prompt");
    return states;
  }
  PromptTokens against =
      tokenize_prompt(tokenizer, negative, length, options, "negative prompt", notes);
  const std::size_t chunks = std::max(positive.chunks.size(), against.chunks.size());
  for (PromptTokens* tokens : {&positive, &against}) {
    while (tokens->chunks.size() < chunks) {
      add_chunk(*tokens, frame_of(tokenizer), static_cast<std::size_t>(length), {}, {});
    }
  }
  states.positive = encode_chunks(models, positive, options.clip_skip, "prompt");
  states.negative = encode_chunks(models, against, 0, "negative prompt");
  return states;
}

}  // namespace tenon::pipelines
