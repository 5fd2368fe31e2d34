// A call of a function as a JSON object that arrives in pieces of any size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace tenon::text {

/// Reads {"name": ..., "arguments": ...} ("parameters" is the same), keys in any order, others left
/// out; or the arguments alone, when the name is known already. Bytes are looked at once.
class JsonCall {
 public:
  JsonCall() = default;
  explicit JsonCall(std::string name)
      : name_(std::move(name)), has_name_(true), arguments_only_(true) {}

  enum class State { open, complete, broken };
  /// Takes what belongs to the object; returns how many bytes. `broken`: it is no such object, with
  /// the byte that does not fit left over.
  std::size_t push(std::string_view bytes);
  State state() const { return state_; }
  bool has_name() const { return has_name_; }
  const std::string& name() const { return name_; }
  /// Of the arguments, as they stand, what came since the last call of it.
  std::string take_arguments();
  bool has_arguments() const { return has_arguments_; }

 private:
  enum class Place { begin, key, colon, value, comma };
  bool take(char byte);
  bool take_value(char byte);
  void end_value();
  void begin_value(char byte);

  State state_ = State::open;
  Place place_ = Place::begin;
  std::string name_;
  bool has_name_ = false;
  bool has_arguments_ = false;
  bool arguments_only_ = false;
  bool first_ = true;  // no member yet
  std::string key_;    // spelled
  std::string value_;  // spelled, of the name, or of arguments given as a string
  std::string arguments_;
  enum class Role { other, name, arguments, quoted } role_ = Role::other;
  std::string brackets_;  // that are open inside of the value
  bool in_string_ = false;
  bool escaped_ = false;
  bool scalar_ = false;  // true, null, a number
};

}  // namespace tenon::text
