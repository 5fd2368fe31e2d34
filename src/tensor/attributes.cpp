#include "tensor/attributes.h"

#include <fmt/ranges.h>

#include "base/error.h"

namespace tenon {
namespace {

constexpr const char* kKinds[] = {"an integer", "a float", "a string",
                                  "integers",   "floats",  "strings"};

template <typename T>
const T* find_typed(const std::map<std::string, Attribute, std::less<>>& items,
                    std::string_view name) {
  const auto found = items.find(name);
  if (found == items.end()) return nullptr;
  if (const T* value = std::get_if<T>(&found->second)) return value;
  bad_input("attribute \"{}\" holds {}, {} was expected", name, kKinds[found->second.index()],
            kKinds[Attribute(T{}).index()]);
}

}  // namespace

void Attributes::erase(std::string_view name) {
  if (const auto found = items_.find(name); found != items_.end()) items_.erase(found);
}

std::int64_t Attributes::get_int(std::string_view name, std::int64_t fallback) const {
  const auto* value = find_typed<std::int64_t>(items_, name);
  return value != nullptr ? *value : fallback;
}

float Attributes::get_float(std::string_view name, float fallback) const {
  const auto* value = find_typed<float>(items_, name);
  return value != nullptr ? *value : fallback;
}

std::string Attributes::get_string(std::string_view name, std::string_view fallback) const {
  const auto* value = find_typed<std::string>(items_, name);
  return value != nullptr ? *value : std::string(fallback);
}

std::vector<std::int64_t> Attributes::get_ints(std::string_view name,
                                               std::vector<std::int64_t> fallback) const {
  const auto* value = find_typed<std::vector<std::int64_t>>(items_, name);
  return value != nullptr ? *value : fallback;
}

std::vector<float> Attributes::get_floats(std::string_view name,
                                          std::vector<float> fallback) const {
  const auto* value = find_typed<std::vector<float>>(items_, name);
  return value != nullptr ? *value : fallback;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '\n') out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  return out + "\"";
}

std::string attribute_text(const Attribute& attribute) {
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::int64_t>) {
          return std::to_string(value);
        } else if constexpr (std::is_same_v<T, float>) {
          return fmt::format("{}f", value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          return quoted(value);
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
          return fmt::format("[{}]", fmt::join(value, ", "));
        } else if constexpr (std::is_same_v<T, std::vector<float>>) {
          std::string text = "[";
          for (const float item : value)
            text += fmt::format("{}{}f", text.size() > 1 ? ", " : "", item);
          return text + "]";
        } else {
          std::string text = "[";
          for (const auto& item : value) text += (text.size() > 1 ? ", " : "") + quoted(item);
          return text + "]";
        }
      },
      attribute);
}

}  // namespace tenon
