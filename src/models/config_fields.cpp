#include "models/config_fields.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "base/error.h"

namespace tenon::models {
namespace {

constexpr std::size_t kShown = 80;

std::string shown(const Json& value) {
  std::string text = json_text(value);
  if (text.size() > kShown) text = text.substr(0, kShown) + "...";
  return text;
}

// Reads one number under the field's name, so that errors name the field.
std::int64_t number(const Json& value, const char* field, std::int64_t low, std::int64_t high) {
  const Json holder = {{field, value}};
  return get_int(holder, field, low, high);
}

void require_length(const Json& list, const char* field, std::size_t length) {
  if (list.size() == length) return;
  bad_input("field \"{}\" has {} elements, {} were expected, one for each block", field,
            list.size(), length);
}

const Json* find_list(const Json& config, const char* field) {
  const Json* value = find_field(config, field);
  if (value == nullptr) return nullptr;
  if (!value->is_array() || value->empty() || value->size() > kMaxBlocks) {
    bad_input("field \"{}\" is {}, a list of 1 to {} elements was expected", field, shown(*value),
              kMaxBlocks);
  }
  return value;
}

}  // namespace

void refuse_field(const Json& config, const char* field, std::string_view supported) {
  const Json* value = find_field(config, field);
  bad_input("field \"{}\" is {}; {}", field, value == nullptr ? "null" : shown(*value), supported);
}

void require_one_of(const Json& config, const char* field,
                    std::initializer_list<const char*> supported) {
  const Json* value = find_field(config, field);
  if (value == nullptr) return;
  const std::string text = get_string(config, field, "");
  if (std::any_of(supported.begin(), supported.end(), [&](const char* s) { return text == s; }))
    return;
  refuse_field(config, field, fmt::format("supported: {}", fmt::join(supported, ", ")));
}

void require_absent(const Json& config, const char* field) {
  if (find_field(config, field) != nullptr) refuse_field(config, field, "supported: null");
}

std::vector<std::int64_t> get_ints(const Json& config, const char* field, std::int64_t low,
                                   std::int64_t high, std::vector<std::int64_t> fallback) {
  const Json* list = find_list(config, field);
  if (list == nullptr) return fallback;
  std::vector<std::int64_t> numbers;
  for (const Json& element : *list) numbers.push_back(number(element, field, low, high));
  return numbers;
}

std::vector<std::string> get_strings(const Json& config, const char* field,
                                     std::vector<std::string> fallback) {
  const Json* list = find_list(config, field);
  if (list == nullptr) return fallback;
  std::vector<std::string> texts;
  for (const Json& element : *list) {
    if (!element.is_string())
      bad_input("field \"{}\" holds {}, strings were expected", field, shown(element));
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

std::vector<std::int64_t> get_ints_per_block(const Json& config, const char* field,
                                             std::size_t blocks, std::int64_t low,
                                             std::int64_t high, std::int64_t fallback) {
  const Json* value = find_field(config, field);
  if (value == nullptr || !value->is_array())
    return std::vector<std::int64_t>(blocks, get_int(config, field, low, high, fallback));
  require_length(*value, field, blocks);
  return get_ints(config, field, low, high, {});
}

std::vector<bool> get_bools_per_block(const Json& config, const char* field, std::size_t blocks,
                                      bool fallback) {
  const Json* value = find_field(config, field);
  if (value == nullptr || !value->is_array())
    return std::vector<bool>(blocks, get_bool(config, field, fallback));
  require_length(*value, field, blocks);
  std::vector<bool> truths;
  for (const Json& element : *value) {
    const Json holder = {{field, element}};
    truths.push_back(get_bool(holder, field, fallback));
  }
  return truths;
}

std::vector<std::vector<std::int64_t>> get_ints_per_layer(const Json& config, const char* field,
                                                          const std::vector<std::int64_t>& layers,
                                                          std::int64_t low, std::int64_t high,
                                                          std::int64_t fallback) {
  const Json* value = find_field(config, field);
  const bool listed = value != nullptr && value->is_array();
  if (listed) require_length(*value, field, layers.size());
  std::vector<std::vector<std::int64_t>> numbers;
  for (std::size_t block = 0; block < layers.size(); ++block) {
    const auto count = static_cast<std::size_t>(layers[block]);
    const Json holder = {{field, listed ? (*value)[block] : value == nullptr ? Json() : *value}};
    numbers.push_back(get_ints_per_block(holder, field, count, low, high, fallback));
  }
  return numbers;
}

}  // namespace tenon::models
