// POST /v1/completions and /v1/chat/completions: from JSON to a text request.
#include <random>

#include "serving/openai/text_writer.h"
#include "serving/sampling_fields.h"

namespace tenon::serving::openai {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;
using text::OrderedJson;

constexpr std::int64_t kMaxLogprobs = 20;
constexpr std::int64_t kTransformersTopK = 50;

// OpenAI samples at temperature 1 from all tokens; what the model's files say goes before that.
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

void refuse(const Json& body, const char* key, const char* why) {
  const Json* field = find_field(body, key);
  if (field != nullptr && *field != false && *field != 0) bad_input("field \"{}\": {}", key, why);
}

// What is asked for and cannot be had is refused: it is never left out in silence.
void refuse_unknown(const Json& body) {
  const Json* format = find_field(body, "response_format");
  if (format != nullptr && get_string(*format, "type", "") != "text")
    bad_input("field \"response_format\": only {{\"type\": \"text\"}} is offered");
  for (const char* key : {"guided_json", "guided_regex", "guided_choice", "guided_grammar",
                          "structured_outputs", "grammar"})
    refuse(body, key, "constrained answers are not offered here");
  refuse(body, "suffix", "insertion is not offered");
  refuse(body, "audio", "only text is offered");
  const Json* best = find_field(body, "best_of");
  if (best != nullptr && *best != get_int(body, "n", 1, kMaxChoices, 1))
    bad_input("field \"best_of\": only the value of n is offered");
}

TextShape shape_of(const Json& body, bool chat) {
  TextShape shape;
  shape.chat = chat;
  shape.stream = get_bool(body, "stream", false);
  if (const Json* options = find_field(body, "stream_options")) {
    if (!options->is_object()) bad_input("field \"stream_options\" is no object");
    if (!shape.stream) bad_input("field \"stream_options\" needs \"stream\": true");
    shape.usage_in_stream = get_bool(*options, "include_usage", false);
  }
  thread_local std::mt19937_64 random{std::random_device{}()};
  shape.id = fmt::format("{}-{:016x}{:016x}", chat ? "chatcmpl" : "cmpl", random(), random());
  return shape;
}

void run(const Context& context, const Exchange& exchange, const ModelRegistry::Held& held,
         TextRequest request, TextShape shape) {
  request.deadline = Clock::now() + context.patience;
  const std::int64_t sequences = request.config.num_return_sequences;
  std::make_shared<TextWriter>(exchange, held, sequences, std::move(shape))
      ->run(std::move(request));
}

ModelRegistry::Held text_model(const Context& context, const Json& body) {
  auto held = context.models->get(get_string(body, "model", ""));
  if (held->text() == nullptr) bad_input("model '{}' writes no text", held->info().name);
  return held;
}

std::vector<std::int32_t> ids_of(const Json& list) {
  std::vector<std::int32_t> ids;
  for (const Json& one : list) {
    if (!one.is_number_unsigned() || one.get<std::uint64_t>() > (1U << 30))
      bad_input("field \"prompt\" holds something else than token ids");
    ids.push_back(one.get<std::int32_t>());
  }
  return ids;
}

void complete(const Context& context, const Exchange& exchange) {
  const Json body = request_object(exchange->request());
  const auto held = text_model(context, body);
  refuse_unknown(body);
  const TextService& service = *held->text();
  TextShape shape = shape_of(body, false);
  const Json* prompt = find_field(body, "prompt");
  if (prompt == nullptr) bad_input("field \"prompt\" is missing");
  if (prompt->is_array() && prompt->size() == 1 && !prompt->front().is_number())
    prompt = &prompt->front();
  TextRequest request;
  if (prompt->is_string()) {
    request.prompt = service.tokenizer().encode(prompt->get_ref<const std::string&>());
  } else if (prompt->is_array() && !prompt->empty() && prompt->front().is_number()) {
    request.prompt = ids_of(*prompt);
  } else {
    bad_input("field \"prompt\": one text, or one list of token ids was expected");
  }
  if (get_bool(body, "echo", false)) shape.echo = service.tokenizer().decode(request.prompt);
  request.config = settings(service, body);
  if (!request.config.max_new_tokens) request.config.max_new_tokens = 16;  // as OpenAI's
  if (find_field(body, "logprobs") != nullptr) {
    request.config.logprobs = get_int(body, "logprobs", 0, kMaxLogprobs);
    shape.logprobs = true;
  }
  run(context, exchange, held, std::move(request), std::move(shape));
}

// Templates read a text; a list of parts is one when all parts are texts.
void flatten_content(OrderedJson& message) {
  const auto content = message.find("content");
  if (content == message.end() || !content->is_array()) return;
  std::string text;
  for (const OrderedJson& part : *content) {
    if (!part.is_object() || part.value("type", "") != "text" || !part.contains("text") ||
        !part["text"].is_string()) {
      bad_input("field \"messages\": only parts of the type text are offered");
    }
    text += part["text"].get<std::string>();
  }
  *content = text;
}

OrderedJson messages_of(OrderedJson& body) {
  const auto messages = body.find("messages");
  if (messages == body.end() || !messages->is_array() || messages->empty())
    bad_input("field \"messages\" is missing or no list of messages");
  for (OrderedJson& message : *messages) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
      bad_input("field \"messages\": each message is an object with a role");
    const bool has_content = message.contains("content") && !message["content"].is_null();
    if (!has_content && !message.contains("tool_calls"))
      bad_input("field \"messages\": a message has no content");
    if (has_content && !message["content"].is_string() && !message["content"].is_array())
      bad_input("field \"messages\": a content is neither a text nor a list of parts");
    flatten_content(message);
  }
  return std::move(*messages);
}

std::string prompt_of(const TextService& service, const std::string& source,
                      const std::string& model) {
  const text::ChatTemplate* chat = service.chat_template();
  if (chat == nullptr) bad_input("model '{}' has no chat template: use /v1/completions", model);
  OrderedJson body = OrderedJson::parse(source);  // tools keep the order of their keys
  const OrderedJson messages = messages_of(body);
  OrderedJson variables = service.chat_variables();
  if (variables.is_null()) variables = OrderedJson::object();
  for (const char* key : {"tools", "documents"}) {
    if (body.contains(key) && !body[key].is_null()) {
      if (!body[key].is_array()) bad_input("field \"{}\" is no list", key);
      if (!body[key].empty()) variables[key] = body[key];
    }
  }
  if (body.contains("chat_template_kwargs") && body["chat_template_kwargs"].is_object())
    variables.update(body["chat_template_kwargs"]);
  return chat->render(messages, true, variables);
}

void chat(const Context& context, const Exchange& exchange) {
  const Json body = request_object(exchange->request());
  const auto held = text_model(context, body);
  refuse_unknown(body);
  const Json* choice = find_field(body, "tool_choice");
  if (choice != nullptr && *choice != "auto" && *choice != "none")
    bad_input("field \"tool_choice\": only auto and none are offered");
  const TextService& service = *held->text();
  TextShape shape = shape_of(body, true);
  TextRequest request;
  text::EncodeOptions options;
  options.add_special_tokens = false;  // the template writes them
  request.prompt = service.tokenizer().encode(
      prompt_of(service, exchange->request().body, held->info().name), options);
  Json fields = body;
  fields.erase("logprobs");  // a flag here, a number in completions
  request.config = settings(service, fields);
  if (get_bool(body, "logprobs", false)) {
    request.config.logprobs = get_int(body, "top_logprobs", 0, kMaxLogprobs, 0);
    shape.logprobs = true;
  } else {
    refuse(body, "top_logprobs", "needs \"logprobs\": true");
  }
  run(context, exchange, held, std::move(request), std::move(shape));
}

}  // namespace

void add_text_routes(http::Router& router, const Context& context) {
  router.add({"POST", "/v1/completions",
              guarded([context](const Exchange& exchange) { complete(context, exchange); })});
  router.add({"POST", "/v1/chat/completions",
              guarded([context](const Exchange& exchange) { chat(context, exchange); })});
}

}  // namespace tenon::serving::openai
