#include "serving/openai/text_fields.h"

#include <algorithm>
#include <array>
#include <random>

#include "serving/sampling_fields.h"

namespace tenon::serving::openai {
namespace {

constexpr std::int64_t kTransformersTopK = 50;

constexpr std::array<std::string_view, 42> kCommon = {
    "model", "stream", "stream_options", "logprobs",
    // sampling_fields.h
    "max_tokens", "max_new_tokens", "max_completion_tokens", "min_tokens", "min_new_tokens",
    "temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "n", "repetition_penalty",
    "presence_penalty", "frequency_penalty", "stop", "logit_bias", "ignore_eos", "stop_token_ids",
    // constraint_fields.h
    "response_format", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
    "guided_json_object", "guided_whitespace_pattern", "structured_outputs", "grammar",
    "json_schema",
    // of the request, not of the answer
    "user", "metadata", "store", "service_tier", "priority", "safety_identifier",
    "prompt_cache_key", "skip_special_tokens", "prompt_logprobs"};

void check_type(const Json& body, const char* key, bool (*fits)(const Json&), const char* what) {
  const Json* field = find_field(body, key);
  if (field != nullptr && !fits(*field)) bad_input("field \"{}\" is no {}", key, what);
}

void check_metadata(const Json& body) {
  const auto text = [](const Json& field) { return field.is_string(); };
  for (const char* key : {"user", "safety_identifier", "prompt_cache_key"})
    check_type(body, key, text, "string");
  check_type(
      body, "metadata", [](const Json& field) { return field.is_object(); }, "object");
  if (get_bool(body, "store", false)) bad_input("field \"store\": nothing is stored here");
  const std::string tier = get_string(body, "service_tier", "auto");
  if (tier != "auto" && tier != "default")
    bad_input("field \"service_tier\" is \"{}\", expected auto or default", tier.substr(0, 40));
  if (!get_bool(body, "skip_special_tokens", true))
    bad_input("field \"skip_special_tokens\": special tokens are never a part of the text");
  if (find_field(body, "prompt_logprobs") != nullptr)
    bad_input("field \"prompt_logprobs\": log-probabilities of the prompt are not computed");
}

}  // namespace

std::span<const std::string_view> common_fields() { return kCommon; }

void refuse(const Json& body, const char* key, const char* why) {
  const Json* field = find_field(body, key);
  if (field != nullptr && *field != false && *field != 0) bad_input("field \"{}\": {}", key, why);
}

void check_fields(const Json& body, std::span<const std::string_view> own) {
  for (const auto& [key, value] : body.items()) {
    const auto in = [&](std::span<const std::string_view> names) {
      return std::find(names.begin(), names.end(), key) != names.end();
    };
    if (!in(kCommon) && !in(own) && !value.is_null())
      bad_input("field \"{}\" is not known here", key.substr(0, 60));
  }
  check_metadata(body);
}

ModelRegistry::Held text_model(const Context& context, const Json& body) {
  auto held = context.models->get(get_string(body, "model", ""));
  if (held->text() == nullptr) bad_input("model '{}' writes no text", held->info().name);
  return held;
}

pipelines::GenerationConfig settings(const TextService& service, const Json& body) {
  pipelines::GenerationConfig config = service.defaults();
  config.do_sample = config.temperature > 0;
  if (config.top_k == kTransformersTopK) config.top_k = 0;  // a default, not a choice
  config.num_beams = 1;
  config.num_return_sequences = 1;
  config.max_length.reset();
  apply_sampling(config, body);
  return config;
}

TextShape shape_of(const Json& body, bool chat) {
  TextShape shape;
  shape.chat = chat;
  shape.stream = get_bool(body, "stream", false);
  if (const Json* options = find_field(body, "stream_options")) {
    if (!options->is_object()) bad_input("field \"stream_options\" is no object");
    if (!shape.stream) bad_input("field \"stream_options\" needs \"stream\": true");
    for (const auto& [key, value] : options->items()) {
      if (key != "include_usage" && key != "include_obfuscation" && !value.is_null())
        bad_input("field \"stream_options.{}\" is not known here", key.substr(0, 60));
    }
    refuse(*options, "include_obfuscation", "is not offered");
    shape.usage_in_stream = get_bool(*options, "include_usage", false);
  }
  shape.service_tier = find_field(body, "service_tier") != nullptr;
  thread_local std::mt19937_64 random{std::random_device{}()};
  shape.id = fmt::format("{}-{:016x}{:016x}", chat ? "chatcmpl" : "cmpl", random(), random());
  return shape;
}

void run(const Context& context, const std::shared_ptr<http::Exchange>& exchange,
         const ModelRegistry::Held& held, std::vector<TextRequest> requests, const Json& body,
         TextShape shape) {
  // Lower goes first, as in vLLM.
  const std::int64_t priority = get_int(body, "priority", -kMaxPriority, kMaxPriority, 0);
  for (TextRequest& request : requests) {
    request.deadline = Clock::now() + context.patience;
    request.priority = static_cast<int>(-priority);
    shape.sequences = request.config.num_return_sequences;
  }
  const auto prompts = static_cast<std::int64_t>(requests.size());
  if (shape.choices == 0) shape.choices = shape.sequences;
  std::make_shared<TextWriter>(exchange, held, prompts, std::move(shape))
      ->run_all(std::move(requests));
}

void add_text_routes(http::Router& router, const Context& context) {
  using Exchange = std::shared_ptr<http::Exchange>;
  router.add({"POST", "/v1/completions",
              guarded([context](const Exchange& exchange) { complete(context, exchange); })});
  router.add({"POST", "/v1/chat/completions",
              guarded([context](const Exchange& exchange) { chat(context, exchange); })});
}

}  // namespace tenon::serving::openai
