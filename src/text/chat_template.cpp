// Chat templates: rendering over the Jinja interpreter, and the search for a checkpoint's own.
#include "text/chat_template.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"

namespace tenon::text {
namespace {

// Dolly was trained on single instructions; further turns repeat the form, and a system message
// takes the place of the introduction.
constexpr const char* kDollyTemplate =
    R"({%- if messages and messages[0]['role'] == 'system' -%}
{{- messages[0]['content'] + '\n\n' -}}
{%- else -%}
{{- 'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{{- '### Instruction:\n' + message['content'] + '\n\n' -}}
{%- elif message['role'] == 'assistant' -%}
{{- '### Response:\n' + message['content'] + '\n\n### End\n\n' -}}
{%- elif message['role'] != 'system' or not loop.first -%}
{{- raise_exception('This model knows the roles user and assistant, and one system message at the start; found ' + message['role']) -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### Response:\n' -}}{%- endif -%})";

constexpr const char* kLlama2Template =
    R"({%- set bos = bos_token | default('<s>') -%}
{%- set eos = eos_token | default('</s>') -%}
{%- set has_system = messages and messages[0]['role'] == 'system' -%}
{%- for message in (messages[1:] if has_system else messages) -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') -}}
{%- endif -%}
{%- set content = message['content'] -%}
{%- if loop.first and has_system -%}
{%- set content = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' + content -%}
{%- endif -%}
{%- if message['role'] == 'user' -%}
{{- bos + '[INST] ' + content.strip() + ' [/INST]' -}}
{%- elif message['role'] == 'assistant' -%}
{{- ' ' + content.strip() + ' ' + eos -}}
{%- endif -%}
{%- endfor -%})";

const std::string* find_file(const ModelFiles& files, std::string_view name) {
  const auto file = files.find(name);
  return file == files.end() ? nullptr : &file->second;
}

/// A string, or the template named "default" (or the only one) of a list of them.
std::optional<std::string> choose_template(const Json& field, std::string_view where) {
  if (field.is_null()) return std::nullopt;
  if (field.is_string()) return field.get<std::string>();
  if (!field.is_array()) {
    bad_input("{}: \"chat_template\" is a {}, expected a string or a list", where,
              field.type_name());
  }
  std::optional<std::string> chosen;
  for (const Json& entry : field) {
    if (!entry.is_object()) {
      bad_input("{}: an entry of \"chat_template\" is a {}, expected {{name, template}}", where,
                entry.type_name());
    }
    const std::string name = get_string(entry, "name", "");
    if (name == "default" || field.size() == 1) chosen = get_string(entry, "template", "");
  }
  return chosen;
}

std::optional<std::string> template_of(const ModelFiles& files, std::string_view name) {
  const std::string* file = find_file(files, name);
  if (file == nullptr) return std::nullopt;
  const Json json = parse_json(*file, name);
  const Json* field = find_field(json, "chat_template");
  return field == nullptr ? std::nullopt : choose_template(*field, name);
}

bool has_dolly_end_token(const ModelFiles& files) {
  constexpr std::string_view kNames[] = {"tokenizer_config.json", "special_tokens_map.json",
                                         "added_tokens.json", "tokenizer.json"};
  return std::any_of(std::begin(kNames), std::end(kNames), [&](std::string_view name) {
    const std::string* file = find_file(files, name);
    return file != nullptr && file->find("\"### End\"") != std::string::npos;
  });
}

bool is_llama_chat(const Json& config) {
  std::string name = get_string(config, "_name_or_path", "");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return get_string(config, "model_type", "") == "llama" && name.find("chat") != std::string::npos;
}

}  // namespace

struct ChatTemplate::Parsed {
  std::string source;
  jinja::Body body;
};

OrderedJson to_json(std::span<const Message> messages) {
  OrderedJson json = OrderedJson::array();
  for (const Message& message : messages) {
    json.push_back({{"role", message.role}, {"content", message.content}});
  }
  return json;
}

ChatTemplate::ChatTemplate(std::string source) {
  jinja::Body body = with_context("chat template", [&] { return jinja::parse_template(source); });
  parsed_ = std::make_shared<const Parsed>(Parsed{std::move(source), std::move(body)});
}

const std::string& ChatTemplate::source() const { return parsed_->source; }

std::string ChatTemplate::render(const OrderedJson& messages, bool add_generation_prompt,
                                 const OrderedJson& variables) const {
  if (!variables.is_object() && !variables.is_null()) {
    bad_input("the variables of a chat template must be an object, found a {}",
              variables.type_name());
  }
  jinja::Interpreter interpreter;
  interpreter.set_global("tools", {});
  interpreter.set_global("documents", {});
  interpreter.set_global("messages", jinja::from_json(messages, interpreter.budget()));
  interpreter.set_global("add_generation_prompt", jinja::Value(add_generation_prompt));
  for (const auto& [name, value] : variables.items()) {
    interpreter.set_global(name, jinja::from_json(value, interpreter.budget()));
  }
  return interpreter.render(parsed_->body);
}

std::optional<ChatTemplate> find_chat_template(const ModelFiles& files, const Json& config) {
  if (const std::string* file = find_file(files, "chat_template.jinja")) {
    return ChatTemplate(*file);
  }
  for (const std::string_view name : {"tokenizer_config.json", "chat_template.json"}) {
    if (auto source = template_of(files, name)) return ChatTemplate(*std::move(source));
  }
  if (get_string(config, "model_type", "") == "gpt_neox" && has_dolly_end_token(files)) {
    return ChatTemplate(kDollyTemplate);
  }
  if (is_llama_chat(config)) return ChatTemplate(kLlama2Template);
  return std::nullopt;
}

OrderedJson chat_variables(const ModelFiles& files) {
  OrderedJson variables = OrderedJson::object();
  for (const std::string_view name : {"special_tokens_map.json", "tokenizer_config.json"}) {
    const std::string* file = find_file(files, name);
    if (file == nullptr) continue;
    const Json json = parse_json(*file, name);
    for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                            "cls_token", "mask_token"}) {
      const Json* field = find_field(json, key);
      if (field == nullptr) continue;
      const Json* content = field->is_object() ? find_field(*field, "content") : field;
      if (content != nullptr && content->is_string()) {
        variables[key] = content->get<std::string>();
      }
    }
  }
  return variables;
}

}  // namespace tenon::text
