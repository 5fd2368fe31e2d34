// The escapes of string literals.
#include "text/jinja/escape.h"

#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

const char* read_hex_escape(std::string_view source, int digits, std::size_t& position,
                            std::string& text) {
  char32_t value = 0;
  for (int n = 0; n < digits; ++n, ++position) {
    const int digit = position < source.size() ? hex_digit(source[position]) : -1;
    if (digit < 0) return "an escape has too few hexadecimal digits (\\x needs 2, \\u 4, \\U 8)";
    value = value * 16 + static_cast<char32_t>(digit);
  }
  if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    return "an escape names no Unicode character";
  }
  append_code_point(text, value);
  return nullptr;
}

}  // namespace

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

const char* read_escape(std::string_view source, std::size_t& position, std::string& text) {
  constexpr std::string_view kLetters = "abfnrtv\\'\"";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  const char c = source[position++];
  if (const std::size_t letter = kLetters.find(c); letter != std::string_view::npos) {
    text += kMeanings[letter];
  } else if (c == '\n') {
    // An escaped line end joins the lines.
  } else if (octal(c)) {
    char32_t value = static_cast<char32_t>(c - '0');
    for (int n = 1; n < 3 && position < source.size() && octal(source[position]); ++n) {
      value = value * 8 + static_cast<char32_t>(source[position++] - '0');
    }
    append_code_point(text, value);
  } else if (c == 'x' || c == 'u' || c == 'U') {
    return read_hex_escape(source, c == 'x' ? 2 : c == 'u' ? 4 : 8, position, text);
  } else {
    text += '\\';
    text += c;
  }
  return nullptr;
}

}  // namespace tenon::text::jinja
