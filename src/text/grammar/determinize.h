// Subset construction over bytes and calls, and the automata before they are cleaned.
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "text/grammar/nfa.h"
#include "text/grammar/program.h"

namespace tenon::text::grammar {

/// Counts down what a compilation may use.
class CompileSteps {
 public:
  void spend(std::uint64_t count);

 private:
  std::uint64_t spent_ = 0;
};

/// A state with its edges; calls name rules, `start` is not filled.
struct LooseState {
  std::vector<Program::ByteEdge> edges;
  std::vector<Program::Call> calls;
  bool accepts = false;
  std::int32_t rule = 0;
};

/// Appends the states of one rule, its start first.
void determinize(const Nfa& nfa, std::int32_t rule, const std::bitset<256>& available,
                 CompileSteps& steps, std::vector<LooseState>& states);

}  // namespace tenon::text::grammar
