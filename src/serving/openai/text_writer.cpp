#include "serving/openai/text_writer.h"

#include "serving/status.h"

namespace tenon::serving::openai {
namespace {

Json reason_of(const std::string& reason) {
  if (reason.empty()) return nullptr;
  return reason == "length" ? "length" : "stop";
}

Json usage_of(const TextUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.generated_tokens},
          {"total_tokens", usage.prompt_tokens + usage.generated_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

std::string token_text(const text::Tokenizer& tokenizer, std::int32_t id) {
  return tokenizer.decode(std::span(&id, 1), false);
}

}  // namespace

Json TextWriter::envelope(bool chunk) const {
  const char* object = !shape_.chat ? "text_completion"
                       : chunk      ? "chat.completion.chunk"
                                    : "chat.completion";
  return {{"id", shape_.id},
          {"object", object},
          {"created", created_},
          {"model", model().info().name},
          {"system_fingerprint", nullptr}};
}

Json TextWriter::chat_token(const Sequence::Token& token) const {
  const auto one = [&](const pipelines::TokenLogprob& logprob) {
    const std::string text = token_text(service().tokenizer(), logprob.id);
    Json bytes = Json::array();
    for (const char byte : text) bytes.push_back(static_cast<unsigned char>(byte));
    return Json{{"token", text}, {"logprob", logprob.logprob}, {"bytes", bytes}};
  };
  Json made = one(token.logprobs.chosen);
  made["top_logprobs"] = Json::array();
  for (const auto& other : token.logprobs.top) made["top_logprobs"].push_back(one(other));
  return made;
}

Json TextWriter::logprobs_of(std::span<const Sequence::Token> tokens, std::size_t offset) const {
  if (!shape_.logprobs) return nullptr;
  if (shape_.chat) {
    Json content = Json::array();
    for (const auto& token : tokens) content.push_back(chat_token(token));
    return {{"content", content}, {"refusal", nullptr}};
  }
  Json made = {{"tokens", Json::array()},
               {"token_logprobs", Json::array()},
               {"top_logprobs", Json::array()},
               {"text_offset", Json::array()}};
  const text::Tokenizer& tokenizer = service().tokenizer();
  for (const auto& token : tokens) {
    const std::string text = token_text(tokenizer, token.id);
    made["tokens"].push_back(text);
    made["token_logprobs"].push_back(token.logprobs.chosen.logprob);
    Json top = Json::object();
    for (const auto& other : token.logprobs.top)
      top[token_text(tokenizer, other.id)] = other.logprob;
    made["top_logprobs"].push_back(top);
    made["text_offset"].push_back(offset);
    offset += token.text.size();
  }
  return made;
}

Json TextWriter::choice(std::size_t index) const {
  const Sequence& sequence = sequences()[index];
  Json made = {{"index", index},
               {"finish_reason", reason_of(sequence.finish_reason)},
               {"logprobs", logprobs_of(sequence.tokens_with_logprobs, shape_.echo.size())}};
  if (shape_.chat)
    made["message"] = {{"role", "assistant"}, {"content", sequence.text}, {"refusal", nullptr}};
  else
    made["text"] = shape_.echo + sequence.text;
  return made;
}

Json TextWriter::chunk_choice(const pipelines::TokenEvent& event) {
  const auto index = static_cast<std::size_t>(event.sequence);
  const Sequence& sequence = sequences()[index];
  const bool first = !begun_[index];
  begun_[index] = true;
  Json logprobs;
  if (shape_.logprobs && !sequence.tokens_with_logprobs.empty()) {
    logprobs = logprobs_of(std::span(sequence.tokens_with_logprobs).last(1),
                           shape_.echo.size() + sequence.text.size() - event.text.size());
  }
  Json made = {{"index", index},
               {"finish_reason", reason_of(sequence.finish_reason)},
               {"logprobs", logprobs}};
  if (shape_.chat) {
    made["delta"] = {{"content", event.text}};
    if (first) made["delta"]["role"] = "assistant";
  } else {
    made["text"] = (first ? shape_.echo : std::string()) + event.text;
  }
  return made;
}

void TextWriter::send(const Json& chunk) {
  if (!exchange_->begun())
    exchange_->start(200, "text/event-stream; charset=utf-8", {{"Cache-Control", "no-cache"}});
  exchange_->write("data: " + dump(chunk) + "\n\n");
}

void TextWriter::on_token(const pipelines::TokenEvent& event) {
  if (!shape_.stream) return;
  const bool first = !begun_[static_cast<std::size_t>(event.sequence)];
  if (event.text.empty() && event.finish_reason == nullptr && !shape_.logprobs && !first) return;
  Json chunk = envelope(true);
  chunk["choices"] = Json::array({chunk_choice(event)});
  if (shape_.usage_in_stream) chunk["usage"] = nullptr;
  send(chunk);
}

void TextWriter::on_finished(const TextUsage& usage) {
  if (shape_.stream) {
    if (shape_.usage_in_stream) {
      Json chunk = envelope(true);
      chunk["choices"] = Json::array();
      chunk["usage"] = usage_of(usage);
      send(chunk);
    }
    exchange_->write("data: [DONE]\n\n");
    return exchange_->finish();
  }
  Json body = envelope(false);
  body["choices"] = Json::array();
  for (std::size_t i = 0; i < sequences().size(); ++i) body["choices"].push_back(choice(i));
  body["usage"] = usage_of(usage);
  exchange_->respond({200, dump(body), "application/json", {}});
}

void TextWriter::on_failed(const std::exception& error) {
  if (!exchange_->begun()) return exchange_->respond(refusal(error));
  exchange_->write("data: " + error_body(status_of(error).code, message_of(error)) + "\n\n");
  exchange_->finish();
}

}  // namespace tenon::serving::openai
