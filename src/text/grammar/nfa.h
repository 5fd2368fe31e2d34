// The body of one rule as a nondeterministic automaton over bytes and calls of other rules.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "text/grammar/grammar.h"

namespace tenon::text::grammar {

/// State 0 is the start, state 1 the end. Edges of a state are a linked list.
struct Nfa {
  enum class EdgeKind : std::uint8_t { free, bytes, call };
  struct Edge {
    std::int32_t target;
    std::int32_t next;  ///< edge of the same state, -1: none
    std::int32_t rule;  ///< of call
    EdgeKind kind;
    std::uint8_t low, high;  ///< of bytes
  };
  std::vector<std::int32_t> first_edge;
  std::vector<Edge> edges;
};

/// Makes the automata of a grammar's rules, one after the other. Large repeated parts become rules
/// of their own, which are added to the grammar.
class NfaBuilder {
 public:
  static constexpr std::size_t kMaxStates = 1'000'000;

  explicit NfaBuilder(Grammar& grammar) : grammar_(grammar) {}
  /// Error(bad_input) beyond kMaxStates states.
  Nfa build(std::int32_t rule);

 private:
  std::int32_t state();
  void edge(std::int32_t from, Nfa::Edge made);
  void free(std::int32_t from, std::int32_t to) {
    edge(from, {to, -1, -1, Nfa::EdgeKind::free, 0, 0});
  }
  void node(Grammar::Node node, std::int32_t from, std::int32_t to);
  void text(const std::string& bytes, std::int32_t from, std::int32_t to);
  void set(const CodePoints& points, std::int32_t from, std::int32_t to);
  void repeat(Grammar::Node node, std::int32_t from, std::int32_t to);
  void separated(Grammar::Node node, std::int32_t from, std::int32_t to);
  double size_of(Grammar::Node node);
  Grammar::Node as_rule(Grammar::Node node);

  Grammar& grammar_;
  Nfa nfa_;
  std::vector<double> sizes_;  // by node, 0: not known yet
  std::unordered_map<Grammar::Node, Grammar::Node> made_rules_;
};

}  // namespace tenon::text::grammar
