// Text as Python's str sees it: code points over UTF-8. Bytes that are no UTF-8 are kept as they
// are, each as one code point of the range 0xDC80 to 0xDCFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::text::jinja {

/// The code point at `position`, which is moved behind it. Requires position < text.size().
char32_t next_code_point(std::string_view text, std::size_t& position);
void append_code_point(std::string& text, char32_t code_point);
std::size_t count_code_points(std::string_view text);
std::u32string to_code_points(std::string_view text);
std::string to_utf8(std::u32string_view text);

bool is_space(char32_t code_point);       // str.isspace
bool is_printable(char32_t code_point);   // str.isprintable
bool is_line_break(char32_t code_point);  // str.splitlines
bool is_letter(char32_t code_point);      // str.isalpha
bool is_decimal(char32_t code_point);     // str.isdecimal
bool is_digit(char32_t code_point);       // str.isdigit
bool is_numeric(char32_t code_point);     // str.isnumeric
bool is_alphanumeric(char32_t code_point);
bool is_word_character(char32_t code_point);  // \w of a regular expression

enum class LetterCase { lower, upper };
/// str.islower, str.isupper: there are cased letters, and all of them are of this case.
bool has_case(std::string_view text, LetterCase letter_case);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_capitalized(std::string_view text);  // str.capitalize
std::string to_title(std::string_view text);        // str.title

/// Removes from the ends code points of `which`, or white space when `which` is null.
std::string_view strip(std::string_view text, const std::string* which, bool left, bool right);
/// Splits at line breaks of every kind, which are dropped unless `keep_ends`.
std::vector<std::string> split_lines(std::string_view text, bool keep_ends);

}  // namespace tenon::text::jinja
