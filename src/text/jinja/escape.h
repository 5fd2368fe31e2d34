// The escapes of string literals.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tenon::text::jinja {

/// The value of a hexadecimal digit, or -1.
int hex_digit(char c);

/// Appends what an escape of Python stands for. `position` is that of the character behind the
/// backslash, and is moved behind the escape. Returns what is wrong with it, or null.
const char* read_escape(std::string_view source, std::size_t& position, std::string& text);

}  // namespace tenon::text::jinja
