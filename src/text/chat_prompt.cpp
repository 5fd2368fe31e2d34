#include "text/chat_prompt.h"

namespace tenon::text {

OrderedJson guarded(const OrderedJson& json, const Tokenizer& tokenizer) {
  if (json.is_string()) return tokenizer.guard(json.get_ref<const std::string&>());
  if (!json.is_structured()) return json;
  OrderedJson made = json.is_array() ? OrderedJson::array() : OrderedJson::object();
  if (json.is_array()) {
    for (const OrderedJson& one : json) made.push_back(guarded(one, tokenizer));
  } else {
    for (const auto& [key, value] : json.items())
      made[tokenizer.guard(key)] = guarded(value, tokenizer);
  }
  return made;
}

std::vector<std::int32_t> encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                      const OrderedJson& messages, const OrderedJson& variables,
                                      const OrderedJson& asked) {
  OrderedJson all = variables.is_object() ? variables : OrderedJson::object();
  all.update(guarded(asked, tokenizer));
  EncodeOptions options;
  options.add_special_tokens = false;  // the template writes them
  options.guarded = true;
  return tokenizer.encode(chat.render(guarded(messages, tokenizer), true, all), options);
}

}  // namespace tenon::text
