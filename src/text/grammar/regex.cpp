// Regular expressions whose meaning is a set of texts: no groups to remember, no looking around.
#include "text/grammar/regex.h"

#include <optional>
#include <utility>

#include "text/grammar/source_reader.h"

namespace tenon::text::grammar {
namespace {

const CodePoints& digits() {
  static const CodePoints set({{'0', '9'}});
  return set;
}
const CodePoints& word_characters() {
  static const CodePoints set({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
  return set;
}
const CodePoints& spaces() {
  static const CodePoints set({{'\t', '\r'}, {' ', ' '}});
  return set;
}

class Parser {
 public:
  Parser(Grammar& grammar, std::string_view pattern, const CharacterNode& character, bool search)
      : in_(pattern, "regular expression"),
        grammar_(grammar),
        character_(character),
        search_(search) {}

  Grammar::Node run() {
    const Grammar::Node all = alternatives(0);
    if (!in_.at_end()) in_.refuse("\")\" without \"(\"");
    return all;
  }

 private:
  Grammar::Node anything() { return grammar_.repeat(character_(CodePoints::all()), 0, -1); }

  Grammar::Node alternatives(int depth) {
    return choice_of(grammar_, in_, depth, [&] { return sequence(depth); });
  }

  // Anchors stand at the ends of an outermost alternative; without them a search matches inside.
  Grammar::Node sequence(int depth) {
    std::vector<Grammar::Node> parts;
    const bool begins = depth == 0 && in_.skip("^");
    if (search_ && depth == 0 && !begins) parts.push_back(anything());
    bool ends = false;
    while (!in_.at_end() && in_.peek() != '|' && in_.peek() != ')') {
      if (depth == 0 && in_.skip("$")) {
        if (!in_.at_end() && in_.peek() != '|') {
          in_.refuse("\"$\" stands before the end of an alternative");
        }
        ends = true;
        break;
      }
      parts.push_back(repeated(element(depth)));
    }
    if (search_ && depth == 0 && !ends) parts.push_back(anything());
    return grammar_.sequence(std::move(parts));
  }

  Grammar::Node element(int depth) {
    const char c = in_.peek();
    if (in_.skip("(")) return group(depth);
    if (in_.skip("[")) return character_(character_class());
    if (in_.skip(".")) {
      static const CodePoints ends({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
      // The narrower of Python's and ECMAScript's meaning where a schema is in force.
      return character_(search_ ? ends.complement() : CodePoints({{'\n', '\n'}}).complement());
    }
    if (c == '*' || c == '+' || c == '?') in_.refuse("a repetition of nothing");
    if (c == '^' || c == '$') in_.refuse("an anchor inside of the expression is not supported");
    if (in_.skip("\\")) return character_(escape());
    const char32_t point = in_.take();
    return character_(CodePoints({{point, point}}));
  }

  Grammar::Node group(int depth) {
    if (in_.skip("?")) {
      const bool named =
          !in_.starts_with("<=") && !in_.starts_with("<!") && (in_.skip("P<") || in_.skip("<"));
      if (named) {
        while (!in_.skip(">")) in_.take();
      } else if (!in_.skip(":")) {
        in_.refuse("of the groups (?...) only (?:...) and named ones are supported");
      }
    }
    const Grammar::Node inner = alternatives(depth + 1);
    if (!in_.skip(")")) in_.refuse("\")\" was expected");
    return inner;
  }

  Grammar::Node repeated(Grammar::Node node) {
    std::int64_t low = 0;
    std::int64_t high = -1;
    if (in_.skip("+")) {
      low = 1;
    } else if (in_.skip("?")) {
      high = 1;
    } else if (!in_.skip("*") && !in_.counts(low, high)) {
      return node;
    }
    in_.skip("?");  // lazy: the same texts
    std::int64_t ignored = 0;
    const std::size_t place = in_.place();
    if (in_.peek() == '*' || in_.peek() == '+' || in_.peek() == '?' ||
        in_.counts(ignored, ignored)) {
      in_.go_back(place);
      in_.refuse("two repetition marks in a row");
    }
    return grammar_.repeat(node, low, high);
  }

  CodePoints escape() {
    const char32_t c = in_.take();
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return digits().complement();
      case 'w':
        return word_characters();
      case 'W':
        return word_characters().complement();
      case 's':
        return spaces();
      case 'S':
        return spaces().complement();
      default:
        const char32_t point = escaped_character(c);
        return CodePoints({{point, point}});
    }
  }

  char32_t escaped_character(char32_t c) {
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case 'x':
        return in_.hex(2);
      case 'u':
        return in_.hex(4);
      default:
        break;
    }
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_letter || (c >= '0' && c <= '9')) {
      in_.refuse(fmt::format("\\{} is not supported", static_cast<char>(c)));
    }
    return c;
  }

  // One member of a class: a character, or a set, which cannot begin a range.
  std::optional<char32_t> member(std::vector<CodePointRange>& ranges) {
    if (in_.at_end()) in_.refuse("a class is not closed");
    if (!in_.skip("\\")) return in_.take();
    const char32_t c = in_.take();
    if (c == 'b') return '\b';
    if (std::u32string_view(U"dDwWsS").find(c) == std::u32string_view::npos) {
      return escaped_character(c);
    }
    in_.go_back(in_.place() - 1);
    const CodePoints set = escape();
    ranges.insert(ranges.end(), set.ranges().begin(), set.ranges().end());
    return std::nullopt;
  }

  CodePoints character_class() {
    const bool negated = in_.skip("^");
    std::vector<CodePointRange> ranges;
    if (in_.peek() == ']') in_.refuse("an empty class; write \\] for the bracket itself");
    while (!in_.skip("]")) {
      const auto first = member(ranges);
      const std::size_t place = in_.place();
      if (!first) continue;
      if (in_.skip("-") && in_.peek() != ']') {
        const auto last = member(ranges);
        if (!last || *last < *first) in_.refuse("a range of a class is out of order");
        ranges.push_back({*first, *last});
      } else {
        in_.go_back(place);
        ranges.push_back({*first, *first});
      }
    }
    const CodePoints points(std::move(ranges));
    return negated ? points.complement() : points;
  }

  SourceReader in_;
  Grammar& grammar_;
  const CharacterNode& character_;
  bool search_;
};

}  // namespace

Grammar::Node add_regex(Grammar& grammar, std::string_view pattern, const CharacterNode& character,
                        bool search) {
  return Parser(grammar, pattern, character, search).run();
}

Grammar regex_grammar(std::string_view pattern) {
  Grammar grammar;
  const CharacterNode character = [&](const CodePoints& points) { return grammar.set(points); };
  const Grammar::Node body = add_regex(grammar, pattern, character, false);
  grammar.root = grammar.declare("root");
  grammar.define(grammar.root, body);
  return grammar;
}

}  // namespace tenon::text::grammar
