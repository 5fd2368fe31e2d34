#include "base/json.h"

#include <set>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"

namespace tenon {
namespace {

constexpr int kMaxDepth = 128;

std::string shortened(const Json& value) {
  std::string text = json_text(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where) {
  std::vector<std::set<std::string>> keys;
  const Json::parser_callback_t check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) bad_input("{}: JSON is nested deeper than {}", where, kMaxDepth);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(parsed.get<std::string>()).second) {
      bad_input("{}: key {} stands twice in one JSON object", where, shortened(parsed));
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), check);
  } catch (const Json::exception& error) {
    bad_input("{}: not valid JSON: {}", where, error.what());
  }
}

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

const Json* find_field(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto field = object.find(key);
  return field == object.end() || field->is_null() ? nullptr : &*field;
}

std::int64_t get_int(const Json& object, const char* key, std::int64_t low, std::int64_t high) {
  const Json* field = find_field(object, key);
  if (field == nullptr) bad_input("field \"{}\" is missing", key);
  // Config writers are fond of 2048.0 for 2048.
  if (!field->is_number() ||
      (field->is_number_float() &&
       (field->get<double>() != static_cast<double>(static_cast<std::int64_t>(
                                    std::clamp(field->get<double>(), -9e15, 9e15)))))) {
    bad_input("field \"{}\" is {}, an integer was expected", key, shortened(*field));
  }
  const auto value = field->is_number_float() ? static_cast<std::int64_t>(field->get<double>())
                                              : field->get<std::int64_t>();
  if (value < low || value > high || (field->is_number_unsigned() && value < 0)) {
    bad_input("field \"{}\" is {}, expected {} to {}", key, shortened(*field), low, high);
  }
  return value;
}

std::int64_t get_int(const Json& object, const char* key, std::int64_t low, std::int64_t high,
                     std::int64_t fallback) {
  return find_field(object, key) == nullptr ? fallback : get_int(object, key, low, high);
}

double get_number(const Json& object, const char* key, double fallback) {
  const Json* field = find_field(object, key);
  if (field == nullptr) return fallback;
  if (!field->is_number())
    bad_input("field \"{}\" is {}, a number was expected", key, shortened(*field));
  return field->get<double>();
}

bool get_bool(const Json& object, const char* key, bool fallback) {
  const Json* field = find_field(object, key);
  if (field == nullptr) return fallback;
  if (!field->is_boolean()) {
    bad_input("field \"{}\" is {}, true or false was expected", key, shortened(*field));
  }
  return field->get<bool>();
}

std::string get_string(const Json& object, const char* key, std::string_view fallback) {
  const Json* field = find_field(object, key);
  if (field == nullptr) return std::string(fallback);
  if (!field->is_string())
    bad_input("field \"{}\" is {}, a string was expected", key, shortened(*field));
  return field->get<std::string>();
}

}  // namespace tenon
