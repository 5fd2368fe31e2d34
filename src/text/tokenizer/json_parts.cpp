// Typed access to fields that several components share.
#include "text/tokenizer/json_parts.h"

#include "base/error.h"

namespace tenon::text {

std::string type_field(const Json& json, std::string_view what) {
  const Json* type = find_field(json, "type");
  if (type == nullptr || !type->is_string()) {
    bad_input("a {} without a \"type\" that is a string", what);
  }
  return type->get<std::string>();
}

std::string required_string(const Json& json, const char* key) {
  if (find_field(json, key) == nullptr) bad_input("field \"{}\" is missing", key);
  return get_string(json, key, "");
}

const Json& array_field(const Json& json, const char* key) {
  const Json* field = find_field(json, key);
  if (field == nullptr || !field->is_array()) bad_input("field \"{}\" is not an array", key);
  return *field;
}

Pattern pattern_field(const Json& json) {
  const Json* pattern = find_field(json, "pattern");
  if (pattern != nullptr && find_field(*pattern, "String") != nullptr) {
    return Pattern::literal(required_string(*pattern, "String"));
  }
  if (pattern != nullptr && find_field(*pattern, "Regex") != nullptr) {
    return Pattern::regex(required_string(*pattern, "Regex"));
  }
  bad_input("field \"pattern\" is neither {{\"String\": ...}} nor {{\"Regex\": ...}}");
}

}  // namespace tenon::text
