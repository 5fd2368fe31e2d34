// Program: a grammar as one deterministic automaton a rule, whose edges are bytes and calls.
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "text/grammar/grammar.h"

namespace tenon::text::grammar {

/// Every state can reach the end of its rule, so whoever follows the edges is never stuck. No rule
/// can call itself before a byte.
struct Program {
  struct ByteEdge {
    std::uint8_t low, high;
    std::int32_t target;
  };
  struct Call {
    std::int32_t start;    ///< state where the rule begins
    std::int32_t returns;  ///< state behind it; -1: this rule ends with it
    std::int32_t rule;
  };
  struct State {
    std::uint32_t first_edge, edge_count;  ///< sorted by byte, disjoint
    std::uint32_t first_call, call_count;
    bool accepts;
  };
  std::vector<State> states;
  std::vector<ByteEdge> edges;
  std::vector<Call> calls;
  std::int32_t start = 0;
};

/// Limits of one compilation, counted and not timed, so that it ends alike everywhere. A step takes
/// a few nanoseconds.
inline constexpr std::size_t kMaxProgramStates = 400'000;
inline constexpr std::uint64_t kMaxCompileSteps = 100'000'000;

/// Only bytes in `available` are used. Error(bad_input): the limits are passed, a rule begins with
/// itself, or no text at all matches.
Program compile(Grammar grammar, const std::bitset<256>& available);

}  // namespace tenon::text::grammar
