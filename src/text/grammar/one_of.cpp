// Proofs that two schemas share no value; what cannot be proven counts as shared.
#include "text/grammar/one_of.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace tenon::text::grammar {
namespace {

using Schema = nlohmann::ordered_json;

const Schema& resolved(const Schema& document, const Schema& schema) {
  const Schema* at = &schema;
  for (int hops = 0; hops < 20 && at->is_object() && at->contains("$ref"); ++hops) {
    const Schema& reference = (*at)["$ref"];
    const Schema* next =
        reference.is_string() ? find_reference(document, reference.get<std::string>()) : nullptr;
    if (next == nullptr) break;
    at = next;
  }
  return *at;
}

/// The only values that can match; none when they are not listed.
std::vector<Schema> listed(const Schema& schema) {
  if (!schema.is_object()) return {};
  if (schema.contains("const")) return {schema["const"]};
  if (schema.contains("enum") && schema["enum"].is_array()) {
    return std::vector<Schema>(schema["enum"].begin(), schema["enum"].end());
  }
  return {};
}

std::set<std::string> types(const Schema& schema) {
  std::set<std::string> names;
  if (!schema.is_object()) return names;
  const auto add = [&](const Schema& type) {
    if (!type.is_string()) return;
    const std::string name = type.get<std::string>();
    names.insert(name == "integer" ? "number" : name);
  };
  if (schema.contains("type")) {
    const Schema& type = schema["type"];
    if (type.is_array()) {
      for (const Schema& name : type) add(name);
    } else {
      add(type);
    }
  }
  for (const Schema& value : names.empty() ? listed(schema) : std::vector<Schema>()) {
    names.insert(value.is_number() ? "number" : value.type_name());
  }
  return names;
}

bool requires_name(const Schema& schema, const std::string& name) {
  if (!schema.is_object() || !schema.contains("required")) return false;
  const Schema& names = schema["required"];
  return names.is_array() && std::find(names.begin(), names.end(), Schema(name)) != names.end();
}

bool lacks_name(const Schema& schema, const std::string& name) {
  return schema.contains("additionalProperties") && schema["additionalProperties"] == false &&
         (!schema.contains("properties") || !schema["properties"].contains(name));
}

bool exclude(const Schema& document, const Schema& first, const Schema& second, int depth) {
  const Schema& a = resolved(document, first);
  const Schema& b = resolved(document, second);
  if (a == false || b == false) return true;
  if (!a.is_object() || !b.is_object() || depth > 4) return false;
  const auto a_types = types(a);
  const auto b_types = types(b);
  if (!a_types.empty() && !b_types.empty() &&
      std::none_of(a_types.begin(), a_types.end(),
                   [&](const std::string& name) { return b_types.contains(name); })) {
    return true;
  }
  const auto a_values = listed(a);
  const auto b_values = listed(b);
  if (!a_values.empty() && !b_values.empty()) {
    return std::none_of(a_values.begin(), a_values.end(), [&](const Schema& value) {
      return std::find(b_values.begin(), b_values.end(), value) != b_values.end();
    });
  }
  // Objects alone: a property that tells them apart, in whichever of them names it.
  const std::set<std::string> object = {"object"};
  if (a_types != object || b_types != object) return false;
  for (const auto* named : {&a, &b}) {
    const Schema& other = named == &a ? b : a;
    if (!named->contains("properties") || !(*named)["properties"].is_object()) continue;
    for (const auto& [name, inner] : (*named)["properties"].items()) {
      if (!requires_name(*named, name)) continue;
      if (lacks_name(other, name)) return true;
      if (other.contains("properties") && other["properties"].contains(name) &&
          exclude(document, inner, other["properties"][name], depth + 1)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

const Schema* find_reference(const Schema& document, const std::string& reference) {
  if (!reference.starts_with('#')) return nullptr;
  try {
    const Schema::json_pointer pointer(reference.substr(1));
    return document.contains(pointer) ? &document.at(pointer) : nullptr;
  } catch (const Schema::exception&) {
    return nullptr;
  }
}

void check_one_of(const Schema& document, const Schema& schemas, const std::string& path) {
  if (schemas.size() > 256) bad_input("JSON schema, {}: oneOf of more than 256 schemas", path);
  for (std::size_t i = 0; i < schemas.size(); ++i) {
    for (std::size_t j = i + 1; j < schemas.size(); ++j) {
      if (exclude(document, schemas[i], schemas[j], 0)) continue;
      throw Error(
          ErrorCode::bad_input,
          fmt::format("JSON schema, {}/oneOf: a value may match both {} and {}", path, i, j))
          .hint("use anyOf, or give both a required property with different constants");
    }
  }
}

}  // namespace tenon::text::grammar
