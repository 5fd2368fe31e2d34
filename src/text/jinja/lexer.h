// Template source -> tokens, with white space already removed as trim_blocks, lstrip_blocks and
// the signs in the tags ask for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::text::jinja {

struct Position {
  int line = 1;
  int column = 1;  // in bytes
};

struct Token {
  enum class Kind {
    text,  // outside of tags
    variable_begin,
    variable_end,
    block_begin,
    block_end,
    name,
    string,
    integer,
    real,
    symbol,  // an operator or bracket, in `text`
    end,
  };
  Kind kind = Kind::end;
  std::string text;  // of text, names, symbols; strings without quotes and escapes
  std::int64_t integer = 0;
  double real = 0;
  Position position;
};

/// Error(bad_input) with line and column. The last token is of kind `end`.
std::vector<Token> tokenize(std::string_view source);

/// Error(bad_input) at a place of the template.
[[noreturn]] void fail_at(Position position, const std::string& message);

}  // namespace tenon::text::jinja
