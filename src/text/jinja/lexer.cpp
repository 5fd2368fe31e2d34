// Template source -> tokens. The rules of white space are those of Jinja2 with trim_blocks and
// lstrip_blocks on and keep_trailing_newline off.
#include "text/jinja/lexer.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "text/jinja/budget.h"
#include "text/jinja/escape.h"
#include "text/jinja/unicode.h"

namespace tenon::text::jinja {
namespace {

std::string normalize_newlines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else {
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
      out += '\n';
    }
  }
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize_newlines(source)) {
    if (source_.ends_with('\n')) source_.pop_back();
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) read_text();
    emit(Token::Kind::end);
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  bool next_is(std::string_view text) const { return rest().starts_with(text); }

  [[noreturn]] void refuse(const std::string& message) { fail_at(position(), message); }

  Position position() {
    for (; counted_ < at_; ++counted_) {
      if (source_[counted_] == '\n') {
        ++position_.line;
        position_.column = 1;
      } else {
        ++position_.column;
      }
    }
    return position_;
  }

  Token& emit(Token::Kind kind, std::string text = {}) {
    Token& token = tokens_.emplace_back();
    token.kind = kind;
    token.text = std::move(text);
    token.position = position();
    return token;
  }

  void skip_space() {
    while (at_ < source_.size()) {
      std::size_t next = at_;
      if (!is_space(next_code_point(source_, next))) return;
      at_ = next;
    }
  }

  /// Text up to the next tag, and that tag.
  void read_text() {
    std::size_t tag = at_;
    while ((tag = source_.find('{', tag)) != std::string::npos) {
      const char second = tag + 1 < source_.size() ? source_[tag + 1] : ' ';
      if (second == '%' || second == '{' || second == '#') break;
      ++tag;
    }
    if (tag == std::string::npos) {
      emit_text(rest());
      at_ = source_.size();
      return;
    }
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    const char kind = source_[tag + 1];
    emit_text(stripped(rest().substr(0, tag - at_), sign, kind == '{'));
    at_ = tag;
    const Position start = position();
    at_ += sign == '-' || sign == '+' ? 3 : 2;
    if (kind == '#') {
      read_comment(start);
    } else if (kind == '{') {
      emit(Token::Kind::variable_begin);
      read_tag("}}", Token::Kind::variable_end);
    } else if (!read_raw(start)) {
      emit(Token::Kind::block_begin);
      read_tag("%}", Token::Kind::block_end);
    }
  }

  void emit_text(std::string_view text) {
    if (!text.empty()) emit(Token::Kind::text, std::string(text));
  }

  /// `text` without the white space that the following tag removes.
  std::string_view stripped(std::string_view text, char sign, bool is_variable) const {
    if (sign == '-') return strip(text, nullptr, false, true);
    if (sign == '+' || is_variable) return text;
    const std::size_t newline = text.rfind('\n');
    if (newline == std::string_view::npos && !line_starting_) return text;
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    const bool blank = strip(text.substr(line), nullptr, true, false).empty();
    return blank ? text.substr(0, line) : text;
  }

  /// Behind an end tag whose sign was `sign`: removes what it removes.
  void finish_tag(char sign, bool trims_newline) {
    if (sign == '-') {
      skip_space();
    } else if (sign != '+' && trims_newline && next_is("\n")) {
      ++at_;
    }
    line_starting_ = source_[at_ - 1] == '\n';
  }

  /// True and moved behind it when an end tag of this kind stands here.
  bool read_end(std::string_view end, bool plus_allowed, bool trims_newline) {
    const char sign = at_ < source_.size() ? source_[at_] : ' ';
    const bool is_signed = sign == '-' || (plus_allowed && sign == '+');
    if (!rest().substr(is_signed ? 1 : 0).starts_with(end)) return false;
    at_ += end.size() + (is_signed ? 1 : 0);
    finish_tag(is_signed ? sign : ' ', trims_newline);
    return true;
  }

  void read_comment(Position start) {
    for (; at_ < source_.size(); ++at_) {
      if (read_end("#}", true, true)) return;
    }
    fail_at(start, "the comment has no end: #} is missing");
  }

  /// {% raw %} up to {% endraw %}; false (and unmoved) for any other block.
  bool read_raw(Position start) {
    const std::size_t before = at_;
    skip_space();
    const bool is_raw = next_is("raw");
    if (is_raw) {
      at_ += 3;
      skip_space();
    }
    if (!is_raw || !read_end("%}", false, false)) {
      at_ = before;
      return false;
    }
    if (at_ == source_.size()) return true;  // as Jinja2: at the very end it may stay open
    for (std::size_t tag = at_; (tag = source_.find("{%", tag)) != std::string::npos; ++tag) {
      const std::size_t content = at_;
      at_ = tag + 2;
      const char sign = at_ < source_.size() ? source_[at_] : ' ';
      if (sign == '-' || sign == '+') ++at_;
      skip_space();
      if (!next_is("endraw")) {
        at_ = content;
        continue;
      }
      at_ += 6;
      skip_space();
      const std::string_view text = std::string_view(source_).substr(content, tag - content);
      const std::string_view kept = stripped(text, sign, false);
      if (read_end("%}", true, true)) {
        emit_text(kept);
        return true;
      }
      at_ = content;
    }
    fail_at(start, "{% raw %} has no {% endraw %}");
  }

  void read_tag(std::string_view end, Token::Kind end_kind) {
    const bool is_block = end_kind == Token::Kind::block_end;
    std::string open;  // the closing brackets that are due
    while (true) {
      const Position here = position();
      if (open.empty() && read_end(end, is_block, is_block)) {
        emit(end_kind).position = here;
        return;
      }
      if (at_ >= source_.size()) {
        refuse(fmt::format("the template ends inside a tag: {} is missing", end));
      }
      const std::size_t before = at_;
      skip_space();
      if (at_ == before) read_token(open);
    }
  }

  void read_token(std::string& open) {
    const char c = source_[at_];
    if (is_digit(c)) return read_number();
    if (is_name_byte(c)) {
      std::size_t end = at_;
      while (end < source_.size() && is_name_byte(source_[end])) ++end;
      emit(Token::Kind::name, source_.substr(at_, end - at_));
      at_ = end;
      return;
    }
    if (c == '\'' || c == '"') return read_string(c);
    read_symbol(open);
  }

  void read_symbol(std::string& open) {
    constexpr std::string_view kSymbols[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                             "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                             ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    const auto* symbol = std::find_if(std::begin(kSymbols), std::end(kSymbols),
                                      [&](std::string_view s) { return next_is(s); });
    if (symbol == std::end(kSymbols)) {
      refuse(fmt::format("unexpected character '{}'", source_.substr(at_, 1)));
    }
    const char c = source_[at_];
    if (c == '(') open += ')';
    if (c == '[') open += ']';
    if (c == '{') open += '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty()) refuse(fmt::format("unexpected '{}'", c));
      if (open.back() != c) refuse(fmt::format("unexpected '{}', expected '{}'", c, open.back()));
      open.pop_back();
    }
    emit(Token::Kind::symbol, std::string(*symbol));
    at_ += symbol->size();
  }

  /// Digits with single underscores between them, appended to `digits`; false when none stand here.
  bool read_digits(std::string& digits, std::size_t& position) const {
    if (position >= source_.size() || !is_digit(source_[position])) return false;
    while (position < source_.size()) {
      const char c = source_[position];
      const bool joins =
          c == '_' && position + 1 < source_.size() && is_digit(source_[position + 1]);
      if (!is_digit(c) && !joins) break;
      if (c != '_') digits += c;
      ++position;
    }
    return true;
  }

  void read_number() {
    if (read_based_integer()) return;
    std::string digits;
    std::size_t end = at_;
    read_digits(digits, end);
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';  // x.0.1 are two items
    bool is_real = false;
    if (!after_dot) {
      is_real = read_fraction(digits, end);
      is_real = read_exponent(digits, end) || is_real;
    }
    if (!is_real && digits.size() > 1 && digits[0] == '0' &&
        digits.find_first_not_of('0') != std::string::npos) {
      refuse("an integer cannot begin with 0");
    }
    emit_number(digits, is_real);
    at_ = end;
  }

  bool read_fraction(std::string& digits, std::size_t& end) const {
    std::string fraction;
    std::size_t position = end + 1;
    if (end >= source_.size() || source_[end] != '.' || !read_digits(fraction, position)) {
      return false;
    }
    digits += "." + fraction;
    end = position;
    return true;
  }

  bool read_exponent(std::string& digits, std::size_t& end) const {
    std::size_t position = end + 1;
    if (end >= source_.size() || (source_[end] != 'e' && source_[end] != 'E')) return false;
    std::string exponent = "e";
    if (position < source_.size() && (source_[position] == '-' || source_[position] == '+')) {
      if (source_[position] == '-') exponent += '-';
      ++position;
    }
    if (!read_digits(exponent, position)) return false;
    digits += exponent;
    end = position;
    return true;
  }

  bool read_based_integer() {
    if (source_[at_] != '0' || at_ + 1 >= source_.size()) return false;
    const char letter = static_cast<char>(source_[at_ + 1] | 0x20);
    const int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (base == 0) return false;
    std::string digits;
    std::size_t end = at_ + 2;
    for (; end < source_.size(); ++end) {
      const int digit = hex_digit(source_[end]);
      if (source_[end] != '_' && (digit < 0 || digit >= base)) break;
      if (source_[end] != '_') digits += source_[end];
    }
    std::int64_t value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (digits.empty() || parsed.ec != std::errc()) refuse("an integer exceeds 64 bits");
    emit(Token::Kind::integer).integer = value;
    at_ = end;
    return true;
  }

  void emit_number(const std::string& digits, bool is_real) {
    const char* end = digits.data() + digits.size();
    if (is_real) {
      double value = 0;
      if (std::from_chars(digits.data(), end, value).ec != std::errc()) {
        refuse("a number is outside the range of a double");
      }
      emit(Token::Kind::real).real = value;
    } else {
      std::int64_t value = 0;
      if (std::from_chars(digits.data(), end, value).ec != std::errc()) {
        refuse("an integer exceeds 64 bits");
      }
      emit(Token::Kind::integer).integer = value;
    }
  }

  void read_string(char quote) {
    std::string text;
    std::size_t i = at_ + 1;
    while (i < source_.size() && source_[i] != quote) {
      if (source_[i] == '\\' && i + 1 < source_.size()) {
        if (const char* problem = read_escape(source_, ++i, text)) refuse(problem);
      } else {
        text += source_[i++];
      }
    }
    if (i >= source_.size()) refuse("the string has no end");
    emit(Token::Kind::string, std::move(text));
    at_ = i + 1;
  }

  std::string source_;
  std::size_t at_ = 0;
  bool line_starting_ = true;  // the last tag took the line end with it
  std::size_t counted_ = 0;    // position_ is that of this byte
  Position position_;
  std::vector<Token> tokens_;
};

}  // namespace

void fail_at(Position position, const std::string& message) {
  bad_input("line {}, column {}: {}", position.line, position.column, message);
}

std::vector<Token> tokenize(std::string_view source) {
  if (source.size() > kMaxSource) {
    bad_input("the chat template has {} bytes, at most {} are accepted", source.size(), kMaxSource);
  }
  return Lexer(source).run();
}

}  // namespace tenon::text::jinja
