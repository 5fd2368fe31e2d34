// Answers to completions and chat: one object, or a stream of chunks.
#pragma once

#include "serving/openai/openai.h"
#include "serving/text_answer.h"

namespace tenon::serving::openai {

struct TextShape {
  bool chat = false;
  bool stream = false;
  bool usage_in_stream = false;
  bool logprobs = false;
  std::string id;    ///< "chatcmpl-..." or "cmpl-..."
  std::string echo;  ///< of completions: stands before each text
};

class TextWriter final : public TextAnswer {
 public:
  TextWriter(std::shared_ptr<http::Exchange> exchange, ModelRegistry::Held held,
             std::int64_t sequences, TextShape shape)
      : TextAnswer(exchange, std::move(held), sequences),
        exchange_(std::move(exchange)),
        shape_(std::move(shape)),
        begun_(static_cast<std::size_t>(sequences)) {}

 private:
  void on_token(const pipelines::TokenEvent& event) override;
  void on_finished(const TextUsage& usage) override;
  void on_failed(const std::exception& error) override;

  Json envelope(bool chunk) const;
  Json choice(std::size_t index) const;
  Json chunk_choice(const pipelines::TokenEvent& event);
  Json logprobs_of(std::span<const Sequence::Token> tokens, std::size_t offset) const;
  Json chat_token(const Sequence::Token& token) const;
  void send(const Json& chunk);

  std::shared_ptr<http::Exchange> exchange_;
  TextShape shape_;
  std::vector<bool> begun_;  // sequences whose first chunk has gone
  std::int64_t created_ = unix_now();
};

}  // namespace tenon::serving::openai
