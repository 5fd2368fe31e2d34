// Rewriting of patterns from Oniguruma's Ruby syntax to PCRE2's, with the character classes of the
// reference's Unicode version.
#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/error.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/utf8.h"
#include "text/unicode/tables.h"

namespace tenon::text {
namespace {

constexpr std::size_t kMaxTranslated = std::size_t{4} << 20;
constexpr std::array<std::string_view, kCategories> kNames = {
    "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};

constexpr std::uint32_t bit(Category category) {
  return std::uint32_t{1} << static_cast<unsigned>(category);
}

std::string ranges_text(const std::vector<PointRange>& ranges) {
  std::string out;
  for (const PointRange& range : ranges) {
    out += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<std::uint32_t>(range.first),
                       static_cast<std::uint32_t>(range.last));
  }
  return out;
}

// A set of code points as the inside of a bracket, and its complement.
struct ClassText {
  std::string members;
  std::string others;
};

// Categories named by one letter or two; 0 for anything else.
std::uint32_t category_mask(std::string_view name) {
  std::uint32_t mask = 0;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const bool same = name.size() == 1 ? kNames[i][0] == name[0] : kNames[i] == name;
    if (same) mask |= std::uint32_t{1} << i;
  }
  return mask;
}

// All other code points but the surrogates, which no text holds and PCRE2 refuses.
std::vector<PointRange> complement_of(const std::vector<PointRange>& ranges) {
  std::vector<PointRange> others;
  const auto add = [&](char32_t first, char32_t behind) {
    if (first < behind) others.push_back({first, behind - 1});
  };
  const auto add_without_surrogates = [&](char32_t first, char32_t behind) {
    add(first, std::min<char32_t>(behind, 0xd800));
    add(std::max<char32_t>(first, 0xe000), behind);
  };
  char32_t next = 0;
  for (const PointRange& range : ranges) {
    add_without_surrogates(next, range.first);
    next = range.last + 1;
  }
  add_without_surrogates(next, 0x110000);
  return others;
}

ClassText category_class(std::string_view name, bool both) {
  const std::uint32_t mask = category_mask(name);
  if (mask == 0) return {fmt::format("\\p{{{}}}", name), fmt::format("\\P{{{}}}", name)};
  ClassText text;
  if ((mask & bit(Category::Cn)) != 0) {  // newer versions take code points from this one
    text.members = ranges_text(ranges_of(mask));
  } else {
    text.members = fmt::format("\\p{{{}}}", name) + ranges_text(newer_ranges(mask));
  }
  if (both) {
    text.others = ranges_text(complement_of(ranges_of(mask)));
  }
  return text;
}

const std::vector<PointRange>& spaces() {
  static const std::vector<PointRange> kSpaces = {
      {0x9, 0xd},       {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
      {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};
  return kSpaces;
}

constexpr std::uint32_t kWordMask = bit(Category::Lu) | bit(Category::Ll) | bit(Category::Lt) |
                                    bit(Category::Lm) | bit(Category::Lo) | bit(Category::Mn) |
                                    bit(Category::Mc) | bit(Category::Me) | bit(Category::Nd) |
                                    bit(Category::Nl) | bit(Category::Pc);

// Inside a bracket the reference does not count six Latin-1 digits and fractions as word
// characters, alone it does.
bool bracket_word(CodePointClass known) {
  return known.regex_word() && known.category() != Category::No;
}

ClassText word_class(bool in_bracket) {
  ClassText text;
  text.members = "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}" + ranges_text(ranges_where([](auto known) {
                   const bool named =
                       (kWordMask >> static_cast<unsigned>(known.category()) & 1U) != 0;
                   return bracket_word(known) && (known.newer() || !named);
                 }));
  if (in_bracket) {
    text.others = ranges_text(complement_of(ranges_where(bracket_word)));
  } else {
    text.members += "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";
  }
  return text;
}

class Translator {
 public:
  explicit Translator(std::string_view source) : in_(source) {}

  std::string run() {
    if (!is_valid_utf8(in_)) bad_input("a regular expression is not valid UTF-8");
    while (at_ < in_.size()) {
      item();
      if (out_.size() > kMaxTranslated) {
        bad_input("a regular expression of {} bytes names too many character classes", in_.size());
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(ErrorCode::bad_input,
                fmt::format("{} in the regular expression \"{}\" at byte {} is not supported", what,
                            in_.substr(0, 120), at_));
  }
  bool at_text(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  char peek() const { return at_ < in_.size() ? in_[at_] : '\0'; }

  void item() {
    switch (in_[at_]) {
      case '\\':
        atom_ = out_.size();
        escape();
        return;
      case '[':
        atom_ = out_.size();
        bracket();
        return;
      case '(':
        open_group();
        return;
      case ')':
        if (open_.empty()) refuse("a closing parenthesis without an open one");
        atom_ = open_.back();
        open_.pop_back();
        break;
      case '{':
        interval();
        return;
      case '*':
      case '+':
      case '?':
      case '|':
        break;
      default:
        atom_ = out_.size();
    }
    literal();
  }

  void literal() {
    const std::size_t begin = at_;
    next_point(in_, at_);
    out_ += in_.substr(begin, at_ - begin);
  }

  void open_group() {
    static constexpr std::array<std::string_view, 9> kKnown = {
        "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:", "(?i)"};
    std::string_view opener = "(";
    if (at_text("(?")) {
      const auto* found = std::find_if(kKnown.begin(), kKnown.end(),
                                       [this](std::string_view known) { return at_text(known); });
      if (found == kKnown.end()) refuse("a group of this kind");
      opener = *found;
    } else if (at_text("(*")) {
      refuse("a verb");
    }
    // In the middle of a pattern it would reach over alternatives, which PCRE2 reads otherwise.
    if (opener == "(?i)" && at_ != 0) refuse("(?i) behind the start");
    if (opener != "(?i)") open_.push_back(out_.size());
    out_ += opener == "(" ? "(?:" : opener;  // nothing refers back to a group
    at_ += opener.size();
  }

  // {n}, {n,}, {n,m}, {,m}; anything else is a literal brace.
  void interval() {
    const std::size_t close = in_.find('}', at_);
    const std::string_view body =
        close == std::string_view::npos ? "" : in_.substr(at_ + 1, close - at_ - 1);
    const auto digits = [](std::string_view text) {
      return text.size() < 6 && text.find_first_not_of("0123456789") == std::string_view::npos;
    };
    const std::size_t comma = body.find(',');
    const std::string_view low = body.substr(0, comma);
    const std::string_view high = comma == std::string_view::npos ? "" : body.substr(comma + 1);
    if (low.size() + high.size() == 0 || !digits(low) || !digits(high)) {
      atom_ = out_.size();
      out_ += "\\{";
      ++at_;
      return;
    }
    at_ = close + 1;
    out_ += fmt::format("{{{}{}}}", low.empty() ? "0" : low,
                        comma == std::string_view::npos ? std::string() : fmt::format(",{}", high));
    if (peek() == '?' && comma == std::string_view::npos) refuse("a question mark behind {n}");
    if (peek() == '+') {  // a repeated interval here, a possessive one in PCRE2
      out_.insert(atom_, "(?:");
      out_ += ")";
    }
  }

  // A class escape at at_ (behind the backslash), consumed; false when it is none.
  bool class_escape(ClassText& text, bool& negated, bool both) {
    const char kind = in_[at_];
    switch (kind) {
      case 's':
      case 'S':
        text.members = ranges_text(spaces());
        if (both) text.others = ranges_text(complement_of(spaces()));
        break;
      case 'd':
      case 'D':
        text = category_class("Nd", both);
        break;
      case 'w':
      case 'W':
        text = word_class(both);
        break;
      case 'h':
      case 'H':
        text = {"0-9a-fA-F", "\\x{0}-/:-@G-`g-\\x{10ffff}"};
        break;
      case 'p':
      case 'P':
        text = property(both);
        break;
      default:
        return false;
    }
    ++at_;
    negated = kind < 'a';
    if (caret_) negated = !negated;
    caret_ = false;
    return true;
  }

  // Leaves at_ on the closing brace.
  ClassText property(bool both) {
    const std::size_t close = in_.find('}', at_);
    if (at_ + 1 >= in_.size() || in_[at_ + 1] != '{' || close == std::string_view::npos) {
      refuse("\\p without braces");
    }
    std::string_view name = in_.substr(at_ + 2, close - at_ - 2);
    caret_ = name.starts_with('^');
    if (caret_) name.remove_prefix(1);
    const auto plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    if (name.empty() || name.size() > 40 || !std::all_of(name.begin(), name.end(), plain)) {
      refuse("this property");
    }
    at_ = close;
    return category_class(name, both);
  }

  void escape() {
    ++at_;
    if (at_ == in_.size()) refuse("a backslash at the end");
    ClassText text;
    bool negated = false;
    if (class_escape(text, negated, false)) {
      out_ += (negated ? "[^" : "[") + text.members + "]";
    } else if (std::string_view("AzZbB").find(in_[at_]) != std::string_view::npos) {
      out_ += fmt::format("\\{}", in_[at_++]);
    } else {
      append_point(escaped_point());
    }
  }

  // A code point behind a backslash.
  char32_t escaped_point() {
    static constexpr std::string_view kLetters = "tnrfvae";
    static constexpr std::string_view kValues = "\t\n\r\f\v\a\x1b";
    const char kind = in_[at_];
    const std::size_t letter = kLetters.find(kind);
    if (letter != std::string_view::npos) {
      ++at_;
      return static_cast<unsigned char>(kValues[letter]);
    }
    if (kind == 'x' || kind == 'u') return hexadecimal(kind);
    const bool word = (kind >= '0' && kind <= '9') || (kind >= 'a' && kind <= 'z') ||
                      (kind >= 'A' && kind <= 'Z');
    if (word) refuse("this escape");
    return next_point(in_, at_);
  }

  char32_t hexadecimal(char kind) {
    ++at_;
    std::size_t length = kind == 'u' ? 4 : 2;
    const bool braces = kind == 'x' && peek() == '{';
    if (braces) {
      ++at_;
      const std::size_t close = in_.find('}', at_);
      length = close == std::string_view::npos ? 0 : close - at_;
    }
    const std::string digits(in_.substr(at_, length));
    if (digits.empty() || digits.size() > 6 || (kind == 'u' && digits.size() != 4) ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      refuse("this code point");
    }
    const auto point = static_cast<char32_t>(std::stoul(digits, nullptr, 16));
    // Two digits from 80 on name a byte there, and a lone byte matches no text.
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ||
        (kind == 'x' && !braces && point > 0x7f)) {
      refuse("this code point");
    }
    at_ += length + (braces ? 1 : 0);
    return point;
  }

  void append_point(char32_t point) {
    out_ += fmt::format("\\x{{{:x}}}", static_cast<std::uint32_t>(point));
  }

  void bracket() {
    ++at_;
    out_ += '[';
    if (peek() == '^') {
      out_ += '^';
      ++at_;
    }
    if (peek() == ']') refuse("an empty bracket");
    while (peek() != ']') {
      if (at_ >= in_.size()) refuse("a bracket that is not closed");
      if (at_text("&&")) refuse("an intersection of classes");
      if (peek() == '[') refuse("a bracket inside a bracket");
      bracket_member();
      if (out_.size() > kMaxTranslated) refuse("so long a bracket");
    }
    ++at_;
    out_ += ']';
  }

  void bracket_member() {
    if (peek() == '\\') {
      ++at_;
      if (at_ == in_.size()) refuse("a backslash at the end");
      ClassText text;
      bool negated = false;
      if (class_escape(text, negated, true)) {
        out_ += negated ? text.others : text.members;
        return;
      }
    } else {
      append_range(next_point(in_, at_));
      return;
    }
    append_range(peek() == 'b' ? (++at_, U'\b') : escaped_point());
  }

  void append_range(char32_t first) {
    append_point(first);
    // A hyphen is a range unless it closes the bracket.
    if (peek() != '-' || at_ + 1 >= in_.size() || in_[at_ + 1] == ']') return;
    ++at_;
    if (peek() == '[') refuse("a bracket inside a bracket");
    char32_t last = 0;
    if (peek() == '\\') {
      ++at_;
      if (at_ == in_.size()) refuse("a backslash at the end");
      if (std::string_view("sSdDwWhHpP").find(in_[at_]) != std::string_view::npos) {
        refuse("a range that ends in a class");
      }
      last = escaped_point();
    } else {
      last = next_point(in_, at_);
    }
    if (last < first) refuse("a range from a greater to a smaller character");
    out_ += '-';
    append_point(last);
  }

  std::string_view in_;
  std::size_t at_ = 0;
  std::string out_;
  std::size_t atom_ = 0;           // where the last atom starts in out_
  std::vector<std::size_t> open_;  // where the open groups start in out_
  bool caret_ = false;             // \p{^name}
};

}  // namespace

std::string translate_regex(std::string_view source) { return Translator(source).run(); }

}  // namespace tenon::text
