// Named constants of an operation, as ONNX knows them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tenon {

using Attribute = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>,
                               std::vector<float>, std::vector<std::string>>;

/// A plain value. The typed getters give `fallback` when the name is absent and throw
/// Error(bad_input) when it is there with another type.
class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<const std::string, Attribute>> items)
      : items_(items) {}

  bool has(std::string_view name) const { return items_.find(name) != items_.end(); }
  void set(std::string name, Attribute value) {
    items_.insert_or_assign(std::move(name), std::move(value));
  }
  void erase(std::string_view name);

  std::int64_t get_int(std::string_view name, std::int64_t fallback) const;
  float get_float(std::string_view name, float fallback) const;
  std::string get_string(std::string_view name, std::string_view fallback) const;
  std::vector<std::int64_t> get_ints(std::string_view name,
                                     std::vector<std::int64_t> fallback = {}) const;
  std::vector<float> get_floats(std::string_view name, std::vector<float> fallback = {}) const;

  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  std::size_t size() const { return items_.size(); }
  bool operator==(const Attributes&) const = default;

 private:
  std::map<std::string, Attribute, std::less<>> items_;
};

/// In quotes, with quotes, backslashes and line ends escaped by a backslash.
std::string quoted(std::string_view text);
/// `3`, `0.5f`, `"x"`, `[1, 2]`: the text form of dumps.
std::string attribute_text(const Attribute& attribute);

}  // namespace tenon
