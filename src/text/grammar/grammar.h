// Grammar: rules over characters, as plain expressions; what every kind of constraint is turned
// into.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/code_points.h"

namespace tenon::text::grammar {

/// Expressions are numbers; one may stand in several places. Built by one thread, then read only.
class Grammar {
 public:
  using Node = std::int32_t;
  enum class Kind { never, text, set, sequence, choice, repeat, separated, rule };
  enum class Presence { required, optional, many };  ///< many: any number, zero included
  struct Item {
    Node node;
    Presence presence;
  };
  struct Expression {
    Kind kind = Kind::never;
    std::string text;             ///< of text: bytes
    CodePoints set;               ///< of set
    std::vector<Node> children;   ///< of separated: the separator comes last
    std::vector<Presence> items;  ///< of separated: one for each child but the last
    std::int64_t low = 0;         ///< of repeat
    std::int64_t high = 0;        ///< of repeat; -1: no limit
    std::int32_t rule = -1;
    int depth = 0;  ///< of expressions in each other, rules not followed
  };
  struct Rule {
    std::string name;
    Node body = -1;  ///< -1: declared only
  };

  // Limits of outside input; Error(bad_input) beyond them.
  static constexpr std::size_t kMaxNodes = 400'000;
  static constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
  static constexpr int kMaxDepth = 1000;
  static constexpr std::int64_t kMaxRepeat = 100'000;

  Node never();
  Node empty() { return text(""); }
  Node text(std::string bytes);
  Node set(CodePoints points);
  Node sequence(std::vector<Node> parts);
  Node choice(std::vector<Node> parts);
  /// `high` -1: no limit. Error(bad_input) when the bounds are out of order or above kMaxRepeat.
  Node repeat(Node node, std::int64_t low, std::int64_t high);
  Node optional(Node node) { return repeat(node, 0, 1); }
  /// Items in this order with `separator` between those that are there.
  Node separated(const std::vector<Item>& items, Node separator);
  Node call(std::int32_t rule);

  /// A rule to be defined later.
  std::int32_t declare(std::string name);
  void define(std::int32_t rule, Node body) { rules_[static_cast<std::size_t>(rule)].body = body; }

  const Expression& at(Node node) const { return nodes_[static_cast<std::size_t>(node)]; }
  std::size_t size() const { return nodes_.size(); }
  const std::vector<Rule>& rules() const { return rules_; }

  std::int32_t root = 0;  ///< the rule that a whole text must match

 private:
  Node add(Expression expression);

  std::vector<Expression> nodes_;
  std::vector<Rule> rules_;
  std::size_t bytes_ = 0;
};

/// Rules in the EBNF dialect of docs/constrained.md, beginning with `root`. Error(bad_input) with
/// line and column.
Grammar parse_grammar(std::string_view source);
/// Texts that match the pattern as a whole (docs/constrained.md lists the syntax). Error(bad_input)
/// with the place in the pattern.
Grammar regex_grammar(std::string_view pattern);
/// One of these texts. Error(bad_input): there is none, or one is not UTF-8.
Grammar choice_grammar(const std::vector<std::string>& choices);
/// JSON documents that are valid under a JSON Schema (draft 2020-12; docs/constrained.md tells the
/// keywords, and which spellings of a valid document are generated). Error(bad_input) names a
/// keyword that is not supported, with its path.
Grammar json_schema_grammar(std::string_view schema);
/// Any JSON object.
Grammar json_object_grammar();

}  // namespace tenon::text::grammar
