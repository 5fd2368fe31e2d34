// One byte after the other: strings and brackets are followed, the rest is left to the reader.
#include "text/json_pieces.h"

#include <nlohmann/json.hpp>

namespace tenon::text {
namespace {

constexpr std::size_t kMaxDepth = 256;
constexpr std::size_t kMaxKey = 4096;

bool is_space(char byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

// The text of a spelled string; empty with `ok` false when it is none.
std::string unspelled(const std::string& spelled, bool& ok) {
  const auto value = nlohmann::json::parse(spelled, nullptr, false);
  ok = value.is_string();
  return ok ? value.get<std::string>() : std::string();
}

}  // namespace

std::size_t JsonCall::push(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (state_ != State::open) return i;
    if (!take(bytes[i])) {
      state_ = State::broken;
      return i;
    }
  }
  return bytes.size();
}

std::string JsonCall::take_arguments() { return std::exchange(arguments_, {}); }

bool JsonCall::take(char byte) {
  if (place_ == Place::value && (in_string_ || scalar_ || !brackets_.empty()))
    return take_value(byte);
  if (place_ == Place::key && in_string_) {
    if (key_.size() > kMaxKey) return false;
    key_ += byte;
    if (escaped_) {
      escaped_ = false;
    } else if (byte == '\\') {
      escaped_ = true;
    } else if (byte == '"') {
      in_string_ = false;
      place_ = Place::colon;
    }
    return true;
  }
  if (is_space(byte)) return true;
  switch (place_) {
    case Place::begin:
      if (byte != '{') return false;
      if (arguments_only_) {
        place_ = Place::value;
        begin_value(byte);
        return true;
      }
      place_ = Place::key;
      return true;
    case Place::key:
      if (byte == '}' && first_) {
        state_ = State::complete;
        return true;
      }
      if (byte != '"') return false;
      key_.assign(1, '"');
      in_string_ = true;
      first_ = false;
      return true;
    case Place::colon:
      place_ = Place::value;
      return byte == ':';
    case Place::value:
      if (byte == ',' || byte == '}' || byte == ']' || byte == ':') return false;
      begin_value(byte);
      return true;
    case Place::comma:
      if (byte == '}') {
        state_ = State::complete;
        return true;
      }
      place_ = Place::key;
      return byte == ',';
  }
  return false;
}

void JsonCall::begin_value(char byte) {
  const bool opens = byte == '{' || byte == '[';
  role_ = Role::other;
  if (arguments_only_) {
    role_ = Role::arguments;
  } else if (key_ == "\"name\"" && !has_name_) {
    role_ = Role::name;
  } else if ((key_ == "\"arguments\"" || key_ == "\"parameters\"") && !has_arguments_) {
    role_ = byte == '"' ? Role::quoted : Role::arguments;
  }
  value_.clear();
  if (role_ == Role::arguments) {
    has_arguments_ = true;
    arguments_ += byte;
  } else if (role_ != Role::other) {
    value_ += byte;
  }
  if (opens) {
    brackets_ = byte;
  } else if (byte == '"') {
    in_string_ = true;
  } else {
    scalar_ = true;
  }
}

bool JsonCall::take_value(char byte) {
  if (scalar_) {
    if (byte == ',' || byte == '}' || is_space(byte)) {
      scalar_ = false;
      place_ = Place::comma;
      return role_ == Role::name ? false : take(byte);
    }
    if (byte == '"' || byte == '{' || byte == '[' || byte == ']' || byte == ':') return false;
  }
  if (role_ == Role::arguments) {
    arguments_ += byte;
  } else if (role_ != Role::other) {
    value_ += byte;
  }
  if (scalar_) return true;
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (byte == '\\') {
      escaped_ = true;
    } else if (byte == '"') {
      in_string_ = false;
    }
  } else if (byte == '"') {
    in_string_ = true;
  } else if (byte == '{' || byte == '[') {
    if (brackets_.size() >= kMaxDepth) return false;
    brackets_ += byte;
  } else if (byte == '}' || byte == ']') {
    if (brackets_.back() != (byte == '}' ? '{' : '[')) return false;
    brackets_.pop_back();
  }
  if (!in_string_ && brackets_.empty()) {
    end_value();
    return state_ != State::broken;
  }
  return true;
}

void JsonCall::end_value() {
  place_ = Place::comma;
  bool ok = true;
  if (role_ == Role::name) {
    name_ = unspelled(value_, ok);
    has_name_ = ok;
  } else if (role_ == Role::quoted) {
    arguments_ = unspelled(value_, ok);
    has_arguments_ = ok;
  }
  if (!ok) state_ = State::broken;
  if (arguments_only_) state_ = State::complete;
}

}  // namespace tenon::text
