// JSON as the project reads it: nlohmann's type, with errors that name the file and the field.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace tenon {

using Json = nlohmann::json;

/// Refuses malformed text, duplicate keys and nesting beyond 128.
Json parse_json(std::string_view text, std::string_view where);
Json read_json(const std::filesystem::path& path);
/// In one line; bytes that are not UTF-8 become U+FFFD. Of Json, and of such with fields in order.
template <typename AnyJson = Json>
std::string json_text(const AnyJson& value) {
  return value.dump(-1, ' ', false, AnyJson::error_handler_t::replace);
}

/// Typed fields of an object: Error(bad_input) names the key, what was found and what was expected.
/// Numbers: an integer must be integral and inside [low, high].
std::int64_t get_int(const Json& object, const char* key, std::int64_t low, std::int64_t high);
std::int64_t get_int(const Json& object, const char* key, std::int64_t low, std::int64_t high,
                     std::int64_t fallback);
double get_number(const Json& object, const char* key, double fallback);
bool get_bool(const Json& object, const char* key, bool fallback);
std::string get_string(const Json& object, const char* key, std::string_view fallback);
/// The field, or null when it is absent or null.
const Json* find_field(const Json& object, const char* key);

}  // namespace tenon
