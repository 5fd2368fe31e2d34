// Strings, containers and literals of JSON.
#include "text/grammar/json_grammar.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text::grammar {
namespace {

const CodePoints& special() {
  static const CodePoints set({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}});
  return set;
}

struct ShortEscape {
  char32_t point;
  const char* text;
};
constexpr std::array<ShortEscape, 7> kShortEscapes = {{{'"', "\\\""},
                                                       {'\\', "\\\\"},
                                                       {'\b', "\\b"},
                                                       {'\f', "\\f"},
                                                       {'\n', "\\n"},
                                                       {'\r', "\\r"},
                                                       {'\t', "\\t"}}};

std::string escaped(char32_t point) {
  for (const ShortEscape& escape : kShortEscapes) {
    if (escape.point == point) return escape.text;
  }
  return fmt::format("\\u{:04x}", static_cast<unsigned>(point));
}

}  // namespace

JsonGrammar::Node JsonGrammar::space() {
  if (space_ < 0) {
    const Node indent = grammar_.set(CodePoints({{' ', ' '}, {'\t', '\t'}}));
    space_ =
        grammar_.choice({grammar_.empty(), grammar_.text(" "),
                         grammar_.sequence({grammar_.optional(grammar_.text("\r")),
                                            grammar_.text("\n"), grammar_.repeat(indent, 0, 20)})});
  }
  return space_;
}

JsonGrammar::Node JsonGrammar::colon() {
  return grammar_.sequence({grammar_.text(":"), grammar_.optional(grammar_.text(" "))});
}

JsonGrammar::Node JsonGrammar::comma() { return grammar_.sequence({grammar_.text(","), space()}); }

JsonGrammar::Node JsonGrammar::string(std::int64_t low, std::int64_t high) {
  const auto one = [&](const char* characters) {
    std::vector<CodePointRange> ranges;
    for (const char* c = characters; *c != '\0'; ++c) {
      ranges.push_back({static_cast<char32_t>(*c), static_cast<char32_t>(*c)});
    }
    return grammar_.set(CodePoints(std::move(ranges)));
  };
  const Node hex = one("0123456789abcdefABCDEF");
  const auto four = [&](Node first, Node second) {
    return grammar_.sequence({grammar_.text("\\u"), first, second, hex, hex});
  };
  const Node plain = grammar_.set(special().complement());
  const Node pair =
      grammar_.sequence({four(one("dD"), one("89abAB")), four(one("dD"), one("cdefCDEF"))});
  const Node character = grammar_.choice(
      {plain, grammar_.sequence({grammar_.text("\\"), one("\"\\/bfnrt")}),
       four(one("0123456789abcefABCEF"), hex), four(one("dD"), one("01234567")), pair});
  return grammar_.sequence(
      {grammar_.text("\""), grammar_.repeat(character, low, high), grammar_.text("\"")});
}

JsonGrammar::Node JsonGrammar::character(const CodePoints& points) {
  std::vector<Node> ways = {grammar_.set(points.without(special()))};
  for (const CodePointRange& range : special().ranges()) {
    for (char32_t point = range.first; point <= range.last; ++point) {
      if (points.contains(point)) ways.push_back(grammar_.text(escaped(point)));
    }
  }
  return grammar_.choice(std::move(ways));
}

// The rest of a string whose first `at` bytes are those of taken[begin, end): by the next
// character, as in a trie. Names are sorted.
JsonGrammar::Node JsonGrammar::other_rest(const std::vector<std::string>& taken, std::size_t begin,
                                          std::size_t end, std::size_t at, Node any) {
  std::vector<Node> ways;
  std::vector<CodePointRange> used;
  bool may_end = true;
  for (std::size_t i = begin; i < end;) {
    if (taken[i].size() == at) {
      may_end = false;
      ++i;
      continue;
    }
    std::size_t behind = at;
    const char32_t point = next_point(taken[i], behind);
    std::size_t same = i + 1;
    while (same < end && taken[same].compare(at, behind - at, taken[i], at, behind - at) == 0) {
      ++same;
    }
    used.push_back({point, point});
    ways.push_back(grammar_.sequence(
        {character(CodePoints({{point, point}})), other_rest(taken, i, same, behind, any)}));
    i = same;
  }
  const CodePoints others = CodePoints(std::move(used)).complement();
  ways.push_back(grammar_.sequence({character(others), grammar_.repeat(any, 0, -1)}));
  if (may_end) ways.push_back(grammar_.empty());
  return grammar_.choice(std::move(ways));
}

JsonGrammar::Node JsonGrammar::other_string(const std::vector<std::string>& taken) {
  std::vector<std::string> sorted = taken;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  for (const std::string& name : sorted) {
    if (name.size() > 256) {
      bad_input("a property name of {} bytes beside additionalProperties, at most 256 are expected",
                name.size());
    }
  }
  const Node any = character(CodePoints::all());
  return grammar_.sequence(
      {grammar_.text("\""), other_rest(sorted, 0, sorted.size(), 0, any), grammar_.text("\"")});
}

std::int32_t JsonGrammar::value_rule() {
  if (value_ >= 0) return value_;
  value_ = grammar_.declare("any JSON value");
  object_ = grammar_.declare("any JSON object");
  array_ = grammar_.declare("any JSON array");
  const Node text = string(0, -1);
  const Node any = grammar_.call(value_);
  const Node entry = grammar_.sequence({text, colon(), any});
  grammar_.define(object_, object_of({{entry, Grammar::Presence::many}}));
  grammar_.define(array_, array_of({{any, Grammar::Presence::many}}));
  grammar_.define(value_, grammar_.choice({text, number(), grammar_.text("true"),
                                           grammar_.text("false"), grammar_.text("null"),
                                           grammar_.call(object_), grammar_.call(array_)}));
  return value_;
}

JsonGrammar::Node JsonGrammar::value() { return grammar_.call(value_rule()); }

JsonGrammar::Node JsonGrammar::object() {
  value_rule();
  return grammar_.call(object_);
}

JsonGrammar::Node JsonGrammar::array() {
  value_rule();
  return grammar_.call(array_);
}

JsonGrammar::Node JsonGrammar::member(const std::string& name, Node value) {
  return grammar_.sequence({literal(name), colon(), value});
}

JsonGrammar::Node JsonGrammar::object_of(const std::vector<Grammar::Item>& members) {
  return grammar_.sequence({grammar_.text("{"), space(), grammar_.separated(members, comma()),
                            space(), grammar_.text("}")});
}

JsonGrammar::Node JsonGrammar::array_of(const std::vector<Grammar::Item>& items) {
  return grammar_.sequence({grammar_.text("["), space(), grammar_.separated(items, comma()),
                            space(), grammar_.text("]")});
}

JsonGrammar::Node JsonGrammar::array_of(Node item, std::int64_t low, std::int64_t high) {
  std::vector<Grammar::Item> items;
  if (high == 0) return array_of(items);
  if (high < 0 && low <= 1) {
    items.push_back({item, low == 0 ? Grammar::Presence::many : Grammar::Presence::required});
    if (low == 1) items.push_back({item, Grammar::Presence::many});
    return array_of(items);
  }
  const Node more = grammar_.repeat(grammar_.sequence({comma(), item}),
                                    std::max<std::int64_t>(low - 1, 0), high < 0 ? -1 : high - 1);
  const auto presence = low == 0 ? Grammar::Presence::optional : Grammar::Presence::required;
  return array_of({{grammar_.sequence({item, more}), presence}});
}

JsonGrammar::Node JsonGrammar::literal(const nlohmann::ordered_json& value) {
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    std::string spelled = "\"";
    for (std::size_t at = 0; at < text.size();) {
      const char32_t point = next_point(text, at);
      if (special().contains(point)) {
        spelled += escaped(point);
      } else {
        append_utf8(spelled, point);
      }
    }
    return grammar_.text(spelled + "\"");
  }
  if (!value.is_structured()) return grammar_.text(value.dump());
  std::vector<Grammar::Item> items;
  for (const auto& [key, inner] : value.items()) {
    const Node node = literal(inner);
    items.push_back({value.is_object() ? member(key, node) : node, Grammar::Presence::required});
  }
  return value.is_object() ? object_of(items) : array_of(items);
}

Grammar json_object_grammar() {
  Grammar grammar;
  grammar.root = grammar.declare("root");
  JsonGrammar json(grammar);
  grammar.define(grammar.root, json.object());
  return grammar;
}

}  // namespace tenon::text::grammar
