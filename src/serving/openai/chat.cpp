// POST /v1/chat/completions: a conversation in, its next message out, calls of tools among it.
#include <algorithm>
#include <array>

#include "serving/constraint_cache.h"
#include "serving/constraint_fields.h"
#include "serving/openai/text_fields.h"
#include "text/chat_prompt.h"

namespace tenon::serving::openai {
namespace {

using text::OrderedJson;
using text::ToolFormat;

constexpr std::size_t kMaxTools = 128;  // as OpenAI's
constexpr std::size_t kMaxMessages = 4096;

constexpr std::array<std::string_view, 18> kOwn = {"messages",
                                                   "top_logprobs",
                                                   "tools",
                                                   "tool_choice",
                                                   "parallel_tool_calls",
                                                   "documents",
                                                   "chat_template_kwargs",
                                                   "reasoning_effort",
                                                   "modalities",
                                                   "audio",
                                                   "prediction",
                                                   "verbosity",
                                                   "web_search_options",
                                                   "functions",
                                                   "function_call",
                                                   "add_generation_prompt",
                                                   "continue_final_message",
                                                   "chat_template"};

const OrderedJson* given(const OrderedJson& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

void check_own_fields(const Json& body) {
  check_fields(body, kOwn);
  refuse(body, "functions", "the older form of tools; use \"tools\"");
  refuse(body, "function_call", "the older form of tools; use \"tool_choice\"");
  refuse(body, "audio", "only text is offered");
  refuse(body, "web_search_options", "there is no search here");
  refuse(body, "verbosity", "is not offered");
  refuse(body, "continue_final_message", "is not offered: use /v1/completions");
  refuse(body, "chat_template", "the template is that of the model");
  if (!get_bool(body, "add_generation_prompt", true))
    bad_input("field \"add_generation_prompt\": an answer always follows the conversation");
  const Json* modalities = find_field(body, "modalities");
  if (modalities != nullptr && *modalities != Json::array({"text"}))
    bad_input("field \"modalities\": only [\"text\"] is offered");
}

// Templates read a text; a list of parts is one when all parts are texts.
void flatten_content(OrderedJson& message) {
  const auto content = message.find("content");
  if (content == message.end() || !content->is_array()) return;
  std::string text;
  for (const OrderedJson& part : *content) {
    const bool is_text = part.is_object() && part.value("type", OrderedJson()) == "text" &&
                         part.contains("text") && part["text"].is_string();
    if (!is_text) bad_input("field \"messages\": only parts of the type text are offered");
    text += part["text"].get<std::string>();
  }
  *content = text;
}

// Templates print the arguments of earlier calls as JSON, and expect them as objects.
void open_arguments(OrderedJson& message) {
  const auto calls = message.find("tool_calls");
  if (calls == message.end() || calls->is_null()) return;
  if (!calls->is_array()) bad_input("field \"messages\": \"tool_calls\" is no list");
  for (OrderedJson& call : *calls) {
    const bool has = call.is_object() && call.contains("function") &&
                     call["function"].is_object() && call["function"].contains("name") &&
                     call["function"]["name"].is_string();
    if (!has) bad_input("field \"messages\": a tool call has no function with a name");
    OrderedJson& function = call["function"];
    if (!function.contains("arguments")) function["arguments"] = OrderedJson::object();
    OrderedJson& arguments = function["arguments"];
    if (arguments.is_string()) {
      const std::string source = arguments.get<std::string>();
      parse_json(source, "field \"messages\": the arguments of a tool call");
      arguments = OrderedJson::parse(source);
    }
    if (!arguments.is_object())
      bad_input("field \"messages\": the arguments of a tool call are no JSON object");
  }
}

OrderedJson messages_of(OrderedJson& body) {
  const auto messages = body.find("messages");
  if (messages == body.end() || !messages->is_array() || messages->empty() ||
      messages->size() > kMaxMessages) {
    bad_input("field \"messages\" is missing or no list of 1 to {} messages", kMaxMessages);
  }
  for (OrderedJson& message : *messages) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
      bad_input("field \"messages\": each message is an object with a role");
    const bool has_content = message.contains("content") && !message["content"].is_null();
    if (!has_content && given(message, "tool_calls") == nullptr)
      bad_input("field \"messages\": a message has no content");
    if (has_content && !message["content"].is_string() && !message["content"].is_array())
      bad_input("field \"messages\": a content is neither a text nor a list of parts");
    flatten_content(message);
    open_arguments(message);
  }
  return std::move(*messages);
}

// What "tools" and "tool_choice" ask for together.
struct ToolChoice {
  std::vector<text::Tool> tools;  // that may be called; empty: none
  OrderedJson listed;             // the same as they were written
  ToolFormat format = ToolFormat::none;
  bool must = false;
  bool many = true;
};

const std::string* named_function(const OrderedJson& choice) {
  if (!choice.is_object() || choice.value("type", OrderedJson()) != "function") return nullptr;
  const OrderedJson* function = given(choice, "function");
  if (function == nullptr || !function->is_object()) return nullptr;
  const OrderedJson* name = given(*function, "name");
  return name == nullptr ? nullptr : name->get_ptr<const std::string*>();
}

ToolChoice tool_choice(const OrderedJson& body, const text::ChatTemplate& chat) {
  ToolChoice made;
  const OrderedJson* tools = given(body, "tools");
  const OrderedJson* choice = given(body, "tool_choice");
  if (tools != nullptr) made.tools = text::read_tools(*tools, kMaxTools);
  if (const OrderedJson* many = given(body, "parallel_tool_calls")) {
    if (!many->is_boolean()) bad_input("field \"parallel_tool_calls\" is no boolean");
    made.many = *many == true;
  }
  if (choice != nullptr && *choice == "none") made.tools.clear();
  if (made.tools.empty()) {
    if (choice != nullptr && *choice != "none" && *choice != "auto")
      bad_input("field \"tool_choice\" needs \"tools\"");
    return made;
  }
  made.listed = *tools;
  made.format = text::find_tool_format(chat.source());
  if (choice == nullptr || *choice == "auto") {
    if (made.format == ToolFormat::none)
      bad_input(
          "field \"tools\": the chat template of the model knows no tools; a call can be had with "
          "\"tool_choice\" required or a function");
    return made;
  }
  made.must = true;
  if (*choice == "required") return made;
  const std::string* name = named_function(*choice);
  if (name == nullptr)
    bad_input("field \"tool_choice\": none, auto, required or a function was expected");
  const auto found = std::find_if(made.tools.begin(), made.tools.end(),
                                  [&](const text::Tool& tool) { return tool.name == *name; });
  if (found == made.tools.end())
    bad_input("field \"tool_choice\": no tool has the name \"{}\"", name->substr(0, 64));
  made.tools = {text::Tool(*found)};
  made.many = false;
  return made;
}

// A template that knows no tools hears of them in a message of ours: the system's, or where the
// template leaves that out the first one.
std::vector<std::int32_t> with_preamble(const TextService& service, OrderedJson messages,
                                        const OrderedJson& variables, const OrderedJson& asked,
                                        const ToolChoice& choice) {
  const std::string preamble = text::tool_preamble(choice.listed);
  const auto encode = [&](const OrderedJson& of) {
    return text::encode_chat(service.tokenizer(), *service.chat_template(), of, variables, asked);
  };
  const auto prepend = [&](OrderedJson& message) {
    std::string text = preamble;
    if (const OrderedJson* content = given(message, "content"))
      text.append("\n").append(content->get<std::string>());
    message["content"] = std::move(text);
  };
  OrderedJson told = messages;
  if (told.front()["role"] == "system") {
    prepend(told.front());
  } else {
    told.insert(told.begin(), OrderedJson{{"role", "system"}, {"content", preamble}});
  }
  try {
    auto ids = encode(told);
    if (ids != encode(messages)) return ids;
  } catch (const Error&) {  // a template that takes no system message
  }
  for (OrderedJson& message : messages) {
    if (message["role"] != "user") continue;
    prepend(message);
    break;
  }
  return encode(messages);
}

// Variables of the template that the request sets.
OrderedJson asked_variables(const OrderedJson& body, const text::ChatTemplate& chat,
                            const ToolChoice& choice) {
  OrderedJson asked = OrderedJson::object();
  if (const OrderedJson* documents = given(body, "documents")) {
    if (!documents->is_array()) bad_input("field \"documents\" is no list");
    if (!documents->empty()) asked["documents"] = *documents;
  }
  if (const OrderedJson* more = given(body, "chat_template_kwargs")) {
    if (!more->is_object()) bad_input("field \"chat_template_kwargs\" is no object");
    for (const auto& [key, value] : more->items()) {
      if (key == "messages" || key == "tools" || key == "add_generation_prompt")
        bad_input("field \"chat_template_kwargs.{}\": give it as a field of the request", key);
      asked[key] = value;
    }
  }
  if (const OrderedJson* effort = given(body, "reasoning_effort")) {
    if (!effort->is_string()) bad_input("field \"reasoning_effort\" is no string");
    if (chat.source().find("reasoning_effort") == std::string::npos)
      bad_input("field \"reasoning_effort\": the chat template of the model knows none");
    asked["reasoning_effort"] = *effort;
  }
  if (!choice.tools.empty() && choice.format != ToolFormat::none) asked["tools"] = choice.listed;
  return asked;
}

void use_tools(const ToolChoice& choice, TextService& service, TextRequest& request,
               TextShape& shape) {
  ToolUse use;
  use.format = choice.format == ToolFormat::none ? ToolFormat::json : choice.format;
  for (const text::Tool& tool : choice.tools) use.names.insert(tool.name);
  use.many = choice.many;
  if (choice.must) {
    if (request.config.constraint != nullptr)
      bad_input(
          "field \"tool_choice\": the answer must be a call, and so cannot match another form");
    std::string key = fmt::format("tools {} {}", static_cast<int>(use.format), choice.many);
    for (const text::Tool& tool : choice.tools)
      key += fmt::format("\n{} {}", tool.name, json_text(tool.parameters));
    request.config.constraint = service.constraints().get(
        key, [&] { return text::tool_grammar(choice.tools, use.format, choice.many); });
    if (const auto opening = text::tool_opening(use.format, service.tokenizer())) {
      request.prompt.push_back(*opening);
      use.opened = true;
    }
  }
  shape.tools = std::move(use);
}

}  // namespace

void chat(const Context& context, const std::shared_ptr<http::Exchange>& exchange) {
  const Json body = request_object(exchange->request());
  const auto held = text_model(context, body);
  check_own_fields(body);
  TextService& service = *held->text();
  const text::ChatTemplate* chat = service.chat_template();
  if (chat == nullptr)
    bad_input("model '{}' has no chat template: use /v1/completions", held->info().name);
  OrderedJson ordered = OrderedJson::parse(exchange->request().body);  // keys keep their order
  TextShape shape = shape_of(body, true);
  TextRequest request;
  Json fields = body;
  fields.erase("logprobs");  // a flag here, a number in completions
  request.config = settings(service, fields);
  if (get_bool(body, "logprobs", false)) {
    request.config.logprobs = get_int(body, "top_logprobs", 0, kMaxLogprobs, 0);
    shape.logprobs = true;
  } else {
    refuse(body, "top_logprobs", "needs \"logprobs\": true");
  }
  const OrderedJson messages = messages_of(ordered);
  const ToolChoice choice = tool_choice(ordered, *chat);
  const OrderedJson asked = asked_variables(ordered, *chat, choice);
  apply_constraint(request.config, ordered, service);
  const bool unknown = !choice.tools.empty() && choice.format == ToolFormat::none;
  request.prompt = unknown
                       ? with_preamble(service, messages, service.chat_variables(), asked, choice)
                       : text::encode_chat(service.tokenizer(), *chat, messages,
                                           service.chat_variables(), asked);
  if (!choice.tools.empty()) use_tools(choice, service, request, shape);
  std::vector<TextRequest> requests;
  requests.push_back(std::move(request));
  run(context, exchange, held, std::move(requests), body, std::move(shape));
}

}  // namespace tenon::serving::openai
