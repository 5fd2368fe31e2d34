// POST /v1/embeddings, what is asked for: the texts as token ids, and the form of the answer.
#pragma once

#include "serving/openai/openai.h"

namespace tenon::serving::openai {

/// As OpenAI's: inputs of a request, and the tokens of all of them.
inline constexpr std::size_t kMaxInputs = 2048;
inline constexpr std::int64_t kMaxInputTokens = 300'000;

struct EmbeddingRequest {
  std::vector<std::vector<std::int32_t>> inputs;  ///< token ids, none of them empty
  std::int64_t tokens = 0;                        ///< of all inputs
  std::int64_t dimensions = 0;                    ///< of the answer, at most the model's
  bool base64 = false;
};

/// `model` has an embedding_tokenizer(). Error(bad_input) names a field that is unknown or out of
/// its range, or an input that is empty, no text or token ids of the model, or longer than its
/// context.
EmbeddingRequest read_embedding_request(const Json& body, ServedModel& model);

/// Numbers of an embedding.
std::int64_t embedding_width(const ModelInfo& info);

}  // namespace tenon::serving::openai
