// Text as Python's str sees it; case mapping and categories come from ICU.
#include "text/jinja/unicode.h"

#include <algorithm>
#include <cstdint>

#include <unicode/ucasemap.h>
#include <unicode/uchar.h>

#include "base/error.h"

namespace tenon::text::jinja {
namespace {

constexpr char32_t kEscapedByte = 0xDC00;

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

using CaseFunction = int32_t (*)(const UCaseMap*, char*, int32_t, const char*, int32_t,
                                 UErrorCode*);

std::string map_case(std::string_view text, CaseFunction function) {
  UErrorCode status = U_ZERO_ERROR;
  UCaseMap* map = ucasemap_open("", 0, &status);
  if (U_FAILURE(status)) fail(ErrorCode::internal, "ICU: {}", u_errorName(status));
  // A full case mapping makes at most three code points of one: ICU's documented bound.
  std::string mapped(text.size() * 3 + 16, '\0');
  const int32_t size = function(map, mapped.data(), static_cast<int32_t>(mapped.size()),
                                text.data(), static_cast<int32_t>(text.size()), &status);
  ucasemap_close(map);
  if (U_FAILURE(status)) fail(ErrorCode::internal, "ICU: {}", u_errorName(status));
  mapped.resize(static_cast<std::size_t>(size));
  return mapped;
}

void append_title_case(std::string& out, char32_t c) {
  // The few titlecase forms of several letters (U+00DF and kin) follow upper case plus lower case.
  std::string one;
  append_code_point(one, c);
  const std::string upper = to_upper(one);
  if (count_code_points(upper) > 1) {
    std::size_t position = 0;
    append_code_point(out, next_code_point(upper, position));
    out += to_lower(std::string_view(upper).substr(position));
  } else {
    append_code_point(out, static_cast<char32_t>(u_totitle(static_cast<UChar32>(c))));
  }
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& position) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(position);
  if (lead < 0x80) return text[position++];
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
  bool valid = length > 1 && lead <= 0xF4 && position + length <= text.size();
  char32_t value = lead & (0x7F >> length);
  for (std::size_t i = 1; valid && i < length; ++i) {
    valid = (byte(position + i) & 0xC0) == 0x80;
    value = (value << 6) | (byte(position + i) & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  valid = valid && value >= kSmallest[length] && value <= 0x10FFFF &&
          !(value >= 0xD800 && value <= 0xDFFF);
  if (!valid) {
    ++position;
    return kEscapedByte + lead;
  }
  position += length;
  return value;
}

void append_code_point(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c >= kEscapedByte + 0x80 && c <= kEscapedByte + 0xFF) {
    text += static_cast<char>(c - kEscapedByte);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | (c >> 6));
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | (c >> 12));
    text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | (c >> 18));
    text += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  }
}

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t position = 0; position < text.size(); ++count) next_code_point(text, position);
  return count;
}

std::u32string to_code_points(std::string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) {
    result += next_code_point(text, position);
  }
  return result;
}

std::string to_utf8(std::u32string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char32_t c : text) append_code_point(result, c);
  return result;
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_printable(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c < 0x7F;
  switch (u_charType(static_cast<UChar32>(c))) {
    case U_UNASSIGNED:
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_PRIVATE_USE_CHAR:
    case U_SURROGATE:
    case U_SPACE_SEPARATOR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
      return false;
    default:
      return true;
  }
}

bool is_line_break(char32_t c) {
  return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool is_letter(char32_t c) {
  constexpr std::uint32_t kLetters = U_GC_L_MASK;
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & kLetters) != 0;
}
bool is_decimal(char32_t c) {
  return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER;
}
bool is_digit(char32_t c) {
  const int type = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}
bool is_numeric(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}
bool is_alphanumeric(char32_t c) { return is_letter(c) || is_numeric(c); }
bool is_word_character(char32_t c) { return c == '_' || is_alphanumeric(c); }

bool has_case(std::string_view text, LetterCase letter_case) {
  bool found = false;
  for (std::size_t position = 0; position < text.size();) {
    const auto c = static_cast<UChar32>(next_code_point(text, position));
    const bool lower = u_isULowercase(c) != 0;
    const bool upper = u_isUUppercase(c) != 0 || u_charType(c) == U_TITLECASE_LETTER;
    if (letter_case == LetterCase::lower ? upper : lower) return false;
    if (u_charType(c) == U_TITLECASE_LETTER) return false;
    found = found || (letter_case == LetterCase::lower ? lower : upper);
  }
  return found;
}

std::string to_upper(std::string_view text) {
  if (!is_ascii(text)) return map_case(text, ucasemap_utf8ToUpper);
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), ascii_upper);
  return result;
}

std::string to_lower(std::string_view text) {
  if (!is_ascii(text)) return map_case(text, ucasemap_utf8ToLower);
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), ascii_lower);
  return result;
}

std::string to_capitalized(std::string_view text) {
  if (text.empty()) return {};
  std::size_t position = 0;
  const char32_t first = next_code_point(text, position);
  std::string result;
  append_title_case(result, first);
  return result + to_lower(text.substr(position));
}

std::string to_title(std::string_view text) {
  std::string result;
  std::string word;  // the rest of a word, lowered as a whole for the sake of the final sigma
  bool in_word = false;
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = next_code_point(text, position);
    const bool cased = u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASED) != 0;
    if (cased && in_word) {
      append_code_point(word, c);
    } else {
      result += to_lower(word);
      word.clear();
      if (cased) {
        append_title_case(result, c);
      } else {
        append_code_point(result, c);
      }
    }
    in_word = cased;
  }
  return result + to_lower(word);
}

std::string_view strip(std::string_view text, const std::string* which, bool left, bool right) {
  const std::u32string set = which == nullptr ? std::u32string() : to_code_points(*which);
  const auto removed = [&](char32_t c) {
    return which == nullptr ? is_space(c) : set.find(c) != std::u32string::npos;
  };
  while (left && !text.empty()) {
    std::size_t position = 0;
    if (!removed(next_code_point(text, position))) break;
    text.remove_prefix(position);
  }
  while (right && !text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && (text[start] & 0xC0) == 0x80) --start;
    std::size_t position = start;
    char32_t c = next_code_point(text, position);
    if (position != text.size()) {  // stray continuation bytes stand for themselves
      start = position = text.size() - 1;
      c = next_code_point(text, position);
    }
    if (!removed(c)) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  std::size_t start = 0;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t end = position;
    const char32_t c = next_code_point(text, position);
    if (!is_line_break(c)) continue;
    if (c == '\r' && position < text.size() && text[position] == '\n') ++position;
    lines.emplace_back(text.substr(start, (keep_ends ? position : end) - start));
    start = position;
  }
  if (start < text.size()) lines.emplace_back(text.substr(start));
  return lines;
}

}  // namespace tenon::text::jinja
