// Masks over a vocabulary: what is decided by the place in the grammar alone is computed once a
// place, the rest by walking those tokens with the whole stack.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/token_trie.h"

namespace tenon::text::grammar {

/// One thread at a time.
class TokenMasks {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 20;  ///< of places kept

  TokenMasks(std::shared_ptr<const Program> program, std::shared_ptr<const TokenTrie> tokens)
      : program_(std::move(program)), tokens_(std::move(tokens)) {}

  /// Kept in the automaton's state. `first`: the token begins the text.
  std::shared_ptr<const TokenMask> mask(Automaton& automaton, std::int32_t state, bool first);
  std::size_t bytes() const { return bytes_; }

 private:
  struct Interval {
    std::uint32_t begin, end;  ///< nodes; the parent of the first was reached
  };
  /// What can come in one place of the program, whatever stands below it.
  struct Place {
    TokenMask allowed;
    std::vector<Interval> depends;  ///< tokens that leave the rule
  };
  const Place& place(std::int32_t program_state);
  /// Sets the tokens in `interval` that can follow `state`; adds what depends on more to `depends`.
  void walk(Automaton& automaton, std::int32_t state, Interval interval, TokenMask& mask,
            std::vector<Interval>* depends);

  std::shared_ptr<const Program> program_;
  std::shared_ptr<const TokenTrie> tokens_;
  std::unordered_map<std::int32_t, Place> places_;
  std::size_t bytes_ = 0;
  std::unique_ptr<Automaton> scratch_;  // walks of places
  std::vector<std::int32_t> path_;      // states by depth
  std::vector<char> left_;              // by depth: the rule may have been left
};

}  // namespace tenon::text::grammar
