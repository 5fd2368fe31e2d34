// The EBNF dialect: rules, literals, classes, groups, repetitions, comments.
#include <map>
#include <utility>

#include "text/grammar/grammar.h"
#include "text/grammar/source_reader.h"

namespace tenon::text::grammar {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class Parser {
 public:
  explicit Parser(std::string_view source) : in_(source, "grammar") {}

  Grammar run() {
    for (skip_space(); !in_.at_end(); skip_space()) {
      const std::string rule = name();
      if (rule.empty()) in_.refuse("a rule was expected: name ::= ...");
      skip_space();
      if (!in_.skip("::=")) in_.refuse("\"::=\" was expected behind the name of a rule");
      const std::int32_t id = rule_id(rule);
      if (grammar_.rules()[static_cast<std::size_t>(id)].body >= 0) {
        in_.refuse(fmt::format("rule \"{}\" is defined twice", rule));
      }
      grammar_.define(id, alternatives(0));
    }
    const auto root = ids_.find("root");
    if (root == ids_.end()) bad_input("grammar: there is no rule \"root\", which it begins with");
    grammar_.root = root->second;
    for (const Grammar::Rule& rule : grammar_.rules()) {
      if (rule.body < 0) bad_input("grammar: rule \"{}\" is used, but not defined", rule.name);
    }
    return std::move(grammar_);
  }

 private:
  void skip_space() {
    while (!in_.at_end()) {
      const char c = in_.peek();
      if (c == '#') {
        while (!in_.at_end() && in_.peek() != '\n') in_.take();
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        in_.take();
      } else {
        return;
      }
    }
  }

  std::string name() {
    std::string text;
    while (is_name_character(in_.peek())) text.push_back(static_cast<char>(in_.take()));
    return text;
  }

  std::int32_t rule_id(const std::string& rule) {
    const auto [place, is_new] = ids_.try_emplace(rule, -1);
    if (is_new) place->second = grammar_.declare(rule);
    return place->second;
  }

  Grammar::Node alternatives(int depth) {
    return choice_of(grammar_, in_, depth, [&] { return sequence(depth); });
  }

  Grammar::Node sequence(int depth) {
    std::vector<Grammar::Node> parts;
    while (true) {
      skip_space();
      const std::size_t place = in_.place();
      const char c = in_.peek();
      if (in_.at_end() || c == '|' || c == ')') break;
      if (is_name_character(c)) {
        const std::string rule = name();
        skip_space();
        if (in_.starts_with("::=")) {  // the next rule begins here
          if (depth > 0) in_.refuse("\")\" was expected before the next rule");
          in_.go_back(place);
          break;
        }
        parts.push_back(repeated(grammar_.call(rule_id(rule))));
      } else {
        parts.push_back(repeated(element(depth)));
      }
    }
    return grammar_.sequence(std::move(parts));
  }

  Grammar::Node element(int depth) {
    if (in_.skip("(")) {
      const Grammar::Node inner = alternatives(depth + 1);
      if (!in_.skip(")")) in_.refuse("\")\" was expected");
      return inner;
    }
    if (in_.skip("\"")) return literal();
    if (in_.skip("[")) return character_class();
    if (in_.skip(".")) return grammar_.set(CodePoints::all());
    in_.refuse("a literal, a class, a group, a rule or \".\" was expected");
  }

  Grammar::Node repeated(Grammar::Node node) {
    for (int count = 0;; ++count) {
      skip_space();
      std::int64_t low = 0;
      std::int64_t high = -1;
      if (in_.skip("+")) {
        low = 1;
      } else if (in_.skip("?")) {
        high = 1;
      } else if (!in_.skip("*") && !in_.counts(low, high)) {
        if (in_.peek() == '{') in_.refuse("counts were expected: {3}, {2,} or {2,5}");
        return node;
      }
      if (count >= 4) in_.refuse("has five repetition marks in a row");
      node = grammar_.repeat(node, low, high);
    }
  }

  char32_t character() {
    if (!in_.skip("\\")) return in_.take();
    const char32_t c = in_.take();
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return in_.hex(2);
      case 'u':
        return in_.hex(4);
      case 'U':
        return in_.hex(8);
      case '"':
      case '\\':
      case '[':
      case ']':
      case '-':
      case '^':
        return c;
      default:
        in_.refuse("unknown escape; known are \\n \\r \\t \\\" \\\\ \\[ \\] \\- \\^ \\xHH \\uHHHH");
    }
  }

  Grammar::Node literal() {
    std::string text;
    while (!in_.skip("\"")) {
      if (in_.at_end() || in_.peek() == '\n') in_.refuse("a literal is not closed");
      append_utf8(text, character());
    }
    return grammar_.text(std::move(text));
  }

  Grammar::Node character_class() {
    const bool negated = in_.skip("^");
    std::vector<CodePointRange> ranges;
    while (!in_.skip("]")) {
      if (in_.at_end()) in_.refuse("a class is not closed");
      const char32_t first = character();
      char32_t last = first;
      const std::size_t place = in_.place();
      if (in_.skip("-")) {
        if (in_.peek() == ']') {
          in_.go_back(place);
        } else {
          last = character();
        }
      }
      if (last < first) in_.refuse("a range of a class is out of order");
      ranges.push_back({first, last});
    }
    const CodePoints points(std::move(ranges));
    return grammar_.set(negated ? points.complement() : points);
  }

  SourceReader in_;
  Grammar grammar_;
  std::map<std::string, std::int32_t> ids_;
};

}  // namespace

Grammar parse_grammar(std::string_view source) { return Parser(source).run(); }

}  // namespace tenon::text::grammar
