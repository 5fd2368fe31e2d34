#include "text_model.h"

#include "base/error.h"
#include "base/log.h"
#include "pipelines/text_generation/recomputing_decoder.h"
#include "serving/embedding_model.h"
#include "text/chat_prompt.h"

namespace tenon::apps {

TextModel::TextModel(Model model, backend::Backend& backend, std::int64_t cache_tokens)
    : model_(std::move(model)) {
  const engine::Engine& engine = *model_.engine();
  if (serving::gives_embeddings(engine)) {
    Error error(ErrorCode::usage, fmt::format("{}: gives embeddings, and no text", model_.name));
    throw error.hint("ask for them with `tenon serve` and POST /v1/embeddings, or with --input");
  }
  if (engine.state.layers == 0) {
    log::warn(
        "{}: no cache of keys and values was recognised in it: every token recomputes all before "
        "it; for a fast one export the model with past_key_values, or start from its checkpoint",
        model_.name);
    decoder_ = std::make_unique<pipelines::RecomputingDecoder>(
        model_.engine(), backend, context_length_of(model_.contents.files));
  } else {
    if (cache_tokens == 0) {
      const std::int64_t context = engine.state.context_length;
      cache_tokens = context == 0 ? kDefaultCache : std::min(context, kDefaultCache);
    }
    session_ = std::make_unique<session::DecoderSession>(model_.engine(), backend, cache_tokens);
    decoder_ = std::make_unique<pipelines::SessionDecoder>(*session_);
  }
  const auto& files = model_.contents.files;
  const bool has_tokenizer = files.contains("tokenizer.json") ||
                             files.contains("tokenizer.model") || files.contains("vocab.json");
  if (has_tokenizer)
    tokenizer_ = with_context(model_.name, [&] { return text::load_tokenizer(files); });
}

session::DecoderSession& TextModel::session() {
  if (session_) return *session_;
  Error error(ErrorCode::bad_input,
              fmt::format("{}: no cache of keys and values was recognised in it", model_.name));
  throw error.hint("export the model with past_key_values, or start from its checkpoint");
}

const text::Tokenizer& TextModel::tokenizer() const {
  if (tokenizer_) return *tokenizer_;
  Error error(
      ErrorCode::bad_input,
      fmt::format("{}: no tokenizer.json or tokenizer.model stands beside the model", model_.name));
  throw error.hint("add it, or give token ids with --ids");
}

std::vector<std::int32_t> TextModel::encode(const std::string& prompt) const {
  return tokenizer().encode(prompt);
}

std::vector<std::int32_t> TextModel::encode_chat(const std::string& prompt,
                                                 const std::string& system) const {
  const auto& files = model_.contents.files;
  const auto config = files.find("config.json");
  const auto chat = text::find_chat_template(
      files, config == files.end() ? Json::object() : parse_json(config->second, "config.json"));
  if (!chat) {
    Error error(ErrorCode::bad_input, fmt::format("{}: has no chat template", model_.name));
    throw error.hint("run without --chat");
  }
  std::vector<text::Message> messages;
  if (!system.empty()) messages.push_back({"system", system});
  messages.push_back({"user", prompt});
  return text::encode_chat(tokenizer(), *chat, text::to_json(messages),
                           text::chat_variables(files));
}

pipelines::GenerationConfig TextModel::defaults() const {
  const auto& files = model_.contents.files;
  pipelines::GenerationConfig config;
  if (const auto found = files.find("generation_config.json"); found != files.end()) {
    config = with_context("generation_config.json", [&] {
      return pipelines::GenerationConfig::from_json(
          parse_json(found->second, "generation_config.json"));
    });
  }
  if (config.eos_token_ids.empty() && tokenizer_ && tokenizer_->eos())
    config.eos_token_ids.push_back(*tokenizer_->eos());
  return config;
}

}  // namespace tenon::apps
