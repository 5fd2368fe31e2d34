// Answers to completions and chat: one object, or a stream of chunks.
#pragma once

#include "serving/openai/openai.h"
#include "serving/text_answer.h"
#include "text/tool_calls.h"

namespace tenon::serving::openai {

/// How calls of tools are found in the answer.
struct ToolUse {
  text::ToolFormat format = text::ToolFormat::none;
  std::set<std::string, std::less<>> names;
  bool opened = false;  ///< the prompt ends with what opens a call
  bool many = true;     ///< else what follows the first call is left out
};

struct TextShape {
  bool chat = false;
  bool stream = false;
  bool usage_in_stream = false;
  bool logprobs = false;
  bool service_tier = false;      ///< it was asked for
  std::string id;                 ///< "chatcmpl-..." or "cmpl-..."
  std::vector<std::string> echo;  ///< of completions: stands before each text of that prompt
  std::int64_t sequences = 1;     ///< computed for each prompt
  /// Of them the best are given, those of the highest mean logprob; 0: all.
  std::int64_t choices = 0;
  std::optional<ToolUse> tools;
};

class TextWriter final : public TextAnswer {
 public:
  TextWriter(std::shared_ptr<http::Exchange> exchange, ModelRegistry::Held held,
             std::int64_t prompts, TextShape shape);

 private:
  /// Of one sequence, beside what TextAnswer keeps.
  struct Written {
    bool begun = false;  // its first chunk has gone
    std::optional<text::ToolCallParser> parser;
    std::string content;  // without the calls
    struct Call {
      std::string id, name, arguments;
    };
    std::vector<Call> calls;
  };

  void on_token(const pipelines::TokenEvent& event) override;
  void on_finished(const TextUsage& usage) override;
  void on_failed(const std::exception& error) override;

  Json envelope(bool chunk) const;
  http::Headers headers() const;
  Json reason_of(std::size_t sequence) const;
  /// The sequences to give, the best first.
  std::vector<std::size_t> chosen(std::size_t prompt) const;
  double mean_logprob(std::size_t sequence) const;
  Json choice(std::size_t index, std::size_t sequence) const;
  Json message(std::size_t sequence) const;
  /// Brings the calls up to date and tells what came, as a delta.
  Json tool_delta(const pipelines::TokenEvent& event);
  std::string new_call_id() const;
  Json chunk_choice(const pipelines::TokenEvent& event, Json delta);
  Json logprobs_of(std::span<const Sequence::Token> tokens, std::size_t offset) const;
  Json chat_token(const Sequence::Token& token) const;
  const std::string& echo_of(std::size_t sequence) const;
  void send(const Json& chunk);

  std::shared_ptr<http::Exchange> exchange_;
  TextShape shape_;
  std::vector<Written> written_;
  std::int64_t created_ = unix_now();
};

}  // namespace tenon::serving::openai
