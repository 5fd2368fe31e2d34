#include "serving/openai/text_writer.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "serving/status.h"

namespace tenon::serving::openai {
namespace {

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

TextWriter::TextWriter(std::shared_ptr<http::Exchange> exchange, ModelRegistry::Held held,
                       std::int64_t prompts, TextShape shape)
    : TextAnswer(exchange, std::move(held), prompts * shape.sequences),
      exchange_(std::move(exchange)),
      shape_(std::move(shape)),
      written_(static_cast<std::size_t>(prompts * shape_.sequences)) {
  if (!shape_.tools) return;
  for (Written& one : written_)
    one.parser.emplace(shape_.tools->format, shape_.tools->names, shape_.tools->opened);
}

Json TextWriter::envelope(bool chunk) const {
  const char* object = !shape_.chat ? "text_completion"
                       : chunk      ? "chat.completion.chunk"
                                    : "chat.completion";
  Json made = {{"id", shape_.id},
               {"object", object},
               {"created", created_},
               {"model", model().info().name},
               {"system_fingerprint", service().fingerprint()}};
  if (shape_.service_tier) made["service_tier"] = "default";
  return made;
}

http::Headers TextWriter::headers() const {
  return {{"X-Tenon-Contract", std::string(service().contract())}};
}

Json TextWriter::reason_of(std::size_t sequence) const {
  const std::string& reason = sequences()[sequence].finish_reason;
  if (reason.empty()) return nullptr;
  if (reason == "length") return "length";
  return written_[sequence].calls.empty() ? "stop" : "tool_calls";
}

const std::string& TextWriter::echo_of(std::size_t sequence) const {
  static const std::string none;
  return shape_.echo.empty() ? none
                             : shape_.echo[sequence / static_cast<std::size_t>(shape_.sequences)];
}

double TextWriter::mean_logprob(std::size_t sequence) const {
  const auto& tokens = sequences()[sequence].tokens_with_logprobs;
  double sum = 0;
  for (const auto& token : tokens) sum += token.logprobs.chosen.logprob;
  return tokens.empty() ? 0 : sum / static_cast<double>(tokens.size());
}

std::vector<std::size_t> TextWriter::chosen(std::size_t prompt) const {
  const auto each = static_cast<std::size_t>(shape_.sequences);
  std::vector<std::size_t> order(each);
  std::iota(order.begin(), order.end(), prompt * each);
  if (shape_.choices < shape_.sequences) {
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
      return mean_logprob(a) > mean_logprob(b);
    });
    order.resize(static_cast<std::size_t>(shape_.choices));
  }
  return order;
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

Json TextWriter::message(std::size_t sequence) const {
  const Written& written = written_[sequence];
  if (!written.parser) {
    return {{"role", "assistant"}, {"content", sequences()[sequence].text}, {"refusal", nullptr}};
  }
  Json made = {{"role", "assistant"}, {"content", written.content}, {"refusal", nullptr}};
  if (written.calls.empty()) return made;
  if (written.content.empty()) made["content"] = nullptr;
  made["tool_calls"] = Json::array();
  for (const auto& call : written.calls) {
    made["tool_calls"].push_back(
        {{"id", call.id},
         {"type", "function"},
         {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return made;
}

Json TextWriter::choice(std::size_t index, std::size_t sequence) const {
  const Sequence& from = sequences()[sequence];
  const std::string& echo = echo_of(sequence);
  Json made = {{"index", index},
               {"finish_reason", reason_of(sequence)},
               {"logprobs", logprobs_of(from.tokens_with_logprobs, echo.size())}};
  if (shape_.chat)
    made["message"] = message(sequence);
  else
    made["text"] = echo + from.text;
  return made;
}

// Mistral's templates take ids of nine letters and digits only.
std::string TextWriter::new_call_id() const {
  static constexpr std::string_view kLetters =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  thread_local std::mt19937_64 random{std::random_device{}()};
  const bool nine = shape_.tools->format == text::ToolFormat::mistral;
  std::string id = nine ? "" : "call_";
  for (int i = 0; i < (nine ? 9 : 24); ++i) id += kLetters[random() % kLetters.size()];
  return id;
}

Json TextWriter::tool_delta(const pipelines::TokenEvent& event) {
  Written& written = written_[static_cast<std::size_t>(event.sequence)];
  std::string text = event.text;
  text += text::tool_marker(shape_.tools->format, service().tokenizer(), event.id);
  auto events = written.parser->push(text);
  if (event.finish_reason != nullptr) {
    for (auto& last : written.parser->finish()) events.push_back(std::move(last));
  }
  Json delta = Json::object();
  std::string content;
  for (const auto& one : events) {
    if (one.kind == text::ToolEvent::Kind::content) {
      content += one.text;
      continue;
    }
    if (one.index > 0 && !shape_.tools->many) continue;
    Json& calls = delta["tool_calls"];
    if (one.kind == text::ToolEvent::Kind::call) {
      written.calls.push_back({new_call_id(), one.text, ""});
      calls.push_back({{"index", one.index},
                       {"id", written.calls.back().id},
                       {"type", "function"},
                       {"function", {{"name", one.text}, {"arguments", ""}}}});
      continue;
    }
    written.calls.at(one.index).arguments += one.text;
    if (calls.empty() || calls.back()["index"] != one.index)
      calls.push_back({{"index", one.index}, {"function", {{"arguments", ""}}}});
    Json& arguments = calls.back()["function"]["arguments"];
    arguments = arguments.get<std::string>() + one.text;
  }
  written.content += content;
  if (!content.empty()) delta["content"] = content;
  return delta;
}

Json TextWriter::chunk_choice(const pipelines::TokenEvent& event, Json delta) {
  const auto index = static_cast<std::size_t>(event.sequence);
  const Sequence& sequence = sequences()[index];
  const bool first = !std::exchange(written_[index].begun, true);
  const std::string& echo = echo_of(index);
  Json logprobs;
  if (shape_.logprobs && !sequence.tokens_with_logprobs.empty()) {
    logprobs = logprobs_of(std::span(sequence.tokens_with_logprobs).last(1),
                           echo.size() + sequence.text.size() - event.text.size());
  }
  Json made = {
      {"index", index}, {"finish_reason", reason_of(index)}, {"logprobs", std::move(logprobs)}};
  if (shape_.chat) {
    if (first) delta["role"] = "assistant";
    made["delta"] = std::move(delta);
  } else {
    made["text"] = (first ? echo : std::string()) + event.text;
  }
  return made;
}

void TextWriter::send(const Json& chunk) {
  if (!exchange_->begun()) {
    http::Headers sent = headers();
    sent.emplace_back("Cache-Control", "no-cache");
    exchange_->start(200, "text/event-stream; charset=utf-8", std::move(sent));
  }
  exchange_->write("data: " + json_text(chunk) + "\n\n");
}

void TextWriter::on_token(const pipelines::TokenEvent& event) {
  const Written& written = written_[static_cast<std::size_t>(event.sequence)];
  Json delta = written.parser ? tool_delta(event) : Json{{"content", event.text}};
  if (!shape_.stream) return;
  const bool says = written.parser ? !delta.empty() : !event.text.empty();
  if (!says && event.finish_reason == nullptr && !shape_.logprobs && written.begun) return;
  Json chunk = envelope(true);
  chunk["choices"] = Json::array({chunk_choice(event, std::move(delta))});
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
  const std::size_t prompts = written_.size() / static_cast<std::size_t>(shape_.sequences);
  for (std::size_t prompt = 0; prompt < prompts; ++prompt) {
    for (const std::size_t sequence : chosen(prompt))
      body["choices"].push_back(choice(body["choices"].size(), sequence));
  }
  body["usage"] = usage_of(usage);
  exchange_->respond({200, json_text(body), "application/json", headers()});
}

void TextWriter::on_failed(const std::exception& error) {
  if (!exchange_->begun()) return exchange_->respond(refusal(error));
  exchange_->write("data: " + error_body(status_of(error).code, message_of(error)) + "\n\n");
  exchange_->finish();
}

}  // namespace tenon::serving::openai
