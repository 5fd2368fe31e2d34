// UTF-8: reading code points, writing them, and replacing what is not valid.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tenon::text {

inline constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

void append_utf8(std::string& out, char32_t point);

/// The code point that starts at `at` in valid UTF-8, which moves behind it. `at` < text.size().
char32_t next_point(std::string_view text, std::size_t& at);

/// How the bytes at the front of `text` (not empty) stand.
struct Utf8Step {
  enum class Kind { character, invalid, incomplete } kind;
  std::size_t length;  ///< of the character, or of the bytes that one U+FFFD replaces
};
Utf8Step step_utf8(std::string_view text);

/// Every maximal ill-formed part becomes one U+FFFD, as in Python's errors="replace".
std::string replace_invalid_utf8(std::string_view bytes);
bool is_valid_utf8(std::string_view bytes);

/// Turns bytes that come in parts into text: what is certain is appended to `out`, an unfinished
/// character at the end stays in `pending`.
void drain_utf8(std::string& pending, std::string& out);

}  // namespace tenon::text
