// Reduction of post-processors to the two lists of ids that they add.
#include "text/tokenizer/post_processor.h"

#include "base/error.h"
#include "text/tokenizer/json_parts.h"
#include "text/tokenizer/vocabulary.h"

namespace tenon::text {
namespace {

std::int32_t checked_id(const Json& json) {
  const Json wrapped = {{"id", json}};
  return static_cast<std::int32_t>(get_int(wrapped, "id", 0, Vocabulary::kMaxId));
}

void append_special(const Json& processor, const Json& piece, std::vector<std::int32_t>& ids) {
  const std::string name = required_string(piece, "id");
  const Json* known = find_field(processor, "special_tokens");
  const Json* token = known == nullptr ? nullptr : find_field(*known, name.c_str());
  if (token == nullptr) bad_input("\"{}\" stands in the template, not in special_tokens", name);
  for (const Json& id : array_field(*token, "ids")) ids.push_back(checked_id(id));
}

Frame read_template(const Json& json) {
  Frame frame;
  int texts = 0;
  for (const Json& piece : array_field(json, "single")) {
    if (const Json* special = find_field(piece, "SpecialToken")) {
      append_special(json, *special, texts == 0 ? frame.before : frame.behind);
    } else if (find_field(piece, "Sequence") != nullptr) {
      ++texts;
    } else {
      bad_input("a part of the template is neither SpecialToken nor Sequence");
    }
  }
  if (texts != 1) bad_input("the template for one text names the text {} times", texts);
  return frame;
}

// ["token", id]
std::int32_t id_of_pair(const Json& json, const char* key) {
  const Json& pair = array_field(json, key);
  if (pair.size() != 2) bad_input("field \"{}\" is not a token and its id", key);
  return checked_id(pair[1]);
}

}  // namespace

Frame read_post_processor(const Json& json) {
  if (json.is_null()) return {};
  const std::string type = type_field(json, "post-processor");
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return read_template(json);
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    return {{id_of_pair(json, "cls")}, {id_of_pair(json, "sep")}};
  }
  if (type == "Sequence") {
    Frame frame;
    for (const Json& part : array_field(json, "processors")) {
      const Frame outer = read_post_processor(part);
      frame.before.insert(frame.before.begin(), outer.before.begin(), outer.before.end());
      frame.behind.insert(frame.behind.end(), outer.behind.begin(), outer.behind.end());
    }
    return frame;
  }
  bad_input(
      "post-processor \"{}\" is not supported; known are TemplateProcessing, RobertaProcessing, "
      "BertProcessing, ByteLevel, Sequence",
      type);
}

}  // namespace tenon::text
