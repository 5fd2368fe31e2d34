// Chat templates: a conversation becomes the prompt text that its model was trained on.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace tenon::text {

/// JSON that keeps the order of its keys. Tool definitions are printed in the order in which they
/// were written, so parse requests into this type; a Json converts to it with its keys sorted.
using OrderedJson = nlohmann::ordered_json;

struct Message {
  std::string role;  ///< "system", "user", "assistant", "tool" ...
  std::string content;
};

/// [{"role": ..., "content": ...}, ...]
OrderedJson to_json(std::span<const Message> messages);

/// A parsed Jinja template. Immutable and cheap to copy; any number of threads may render at once.
class ChatTemplate {
 public:
  /// Error(bad_input) with line and column when `source` is not in the supported part of Jinja2.
  explicit ChatTemplate(std::string source);

  /// The prompt of `messages` (an array of objects with role, content, tool_calls ...).
  /// `variables`: an object or null; bos_token, eos_token, tools, documents and whatever else the
  /// template reads. The rules are those of transformers' apply_chat_template: trim_blocks and
  /// lstrip_blocks on, no escaping, `tools` and `documents` none unless given.
  /// Error(bad_input): the template raised an exception, failed (the line is named), or went
  /// beyond the limits of steps, memory, depth and output.
  std::string render(const OrderedJson& messages, bool add_generation_prompt,
                     const OrderedJson& variables) const;

  const std::string& source() const;

 private:
  struct Parsed;
  std::shared_ptr<const Parsed> parsed_;
};

using ModelFiles = std::map<std::string, std::string, std::less<>>;

/// The template of a checkpoint, from (first found) chat_template.jinja, tokenizer_config.json's
/// "chat_template" (a string, or a list of {name, template} of which "default" is taken) and
/// chat_template.json. Without any: Dolly's instruction prompt for gpt_neox with its end token,
/// Llama 2's prompt for a Llama whose name says chat; else nothing.
/// `files`: name -> content; `config`: config.json.
std::optional<ChatTemplate> find_chat_template(const ModelFiles& files, const Json& config);

/// The special tokens that templates read (bos_token, eos_token, unk_token, pad_token ...) from
/// tokenizer_config.json and special_tokens_map.json, as `variables` of render.
OrderedJson chat_variables(const ModelFiles& files);

}  // namespace tenon::text
