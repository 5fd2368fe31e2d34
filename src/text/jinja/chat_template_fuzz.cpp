// Any bytes as a template, or as an expression, over a small conversation: an Error or a text.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto messages = tenon::text::OrderedJson::parse(
      R"([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "héllo\n", "n": 3},
          {"role": "assistant", "content": null, "tool_calls": [{"name": "f", "arguments": {"b": 1.5, "a": []}}]}])");
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const std::string& source : {text, "{{ " + text + " }}"}) {
    try {
      tenon::text::ChatTemplate(source).render(messages, true, {{"bos_token", "<s>"}});
    } catch (const tenon::Error&) {
      // A refusal is a right answer to a bad template.
    }
  }
  return 0;
}
