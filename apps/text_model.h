// A model with its tokenizer and cache, ready for text.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "model.h"
#include "pipelines/text_generation/generate.h"
#include "pipelines/text_generation/session_decoder.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tenon::apps {

class TextModel {
 public:
  /// A model without a cache recomputes all tokens for each, which is logged as a warning.
  /// Error(bad_input) when the model is no decoder. `cache_tokens` 0: the model's context length,
  /// at most kDefaultCache.
  TextModel(Model model, backend::Backend& backend, std::int64_t cache_tokens = 0);
  static constexpr std::int64_t kDefaultCache = 8192;

  const Model& model() const { return model_; }
  /// Error(bad_input) for a model without a cache.
  session::DecoderSession& session();
  pipelines::Decoder& decoder() { return *decoder_; }
  /// Error(bad_input) when no tokenizer travels with the model.
  const text::Tokenizer& tokenizer() const;
  bool has_tokenizer() const { return tokenizer_ != nullptr; }

  std::vector<std::int32_t> encode(const std::string& prompt) const;
  /// The prompt as one message of the user, through the chat template.
  std::vector<std::int32_t> encode_chat(const std::string& prompt, const std::string& system) const;
  /// generation_config.json and the tokenizer's end token.
  pipelines::GenerationConfig defaults() const;

 private:
  Model model_;
  std::unique_ptr<session::DecoderSession> session_;
  std::unique_ptr<pipelines::Decoder> decoder_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
};

}  // namespace tenon::apps
