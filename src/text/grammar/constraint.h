// Constraint and Matcher: which tokens may come next, so that the text matches a grammar.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/grammar/token_trie.h"

namespace tenon::text::grammar {

class Automaton;
class ConstraintState;

/// A grammar compiled for a vocabulary. Immutable to its users, any number of threads; masks that
/// were computed are kept, in bounded memory.
class Constraint {
 public:
  /// Error(bad_input): the grammar passes the limits of compilation (see program.h), begins a rule
  /// with itself, is ambiguous beyond Automaton::kMaxConfigs, or matches nothing that the
  /// vocabulary can write.
  Constraint(Grammar grammar, std::shared_ptr<const TokenTrie> tokens);

  /// Number of token ids.
  std::size_t vocabulary() const;
  /// Of memory that it holds now, without the tokens; it grows with use, to a limit.
  std::size_t bytes() const;

 private:
  friend class Matcher;
  std::shared_ptr<ConstraintState> state_;
};

/// One text while it grows: a small value, whose copies go on independently (beams; keep a copy to
/// come back). One thread at a time; copies may go to other threads.
class Matcher {
 public:
  explicit Matcher(const Constraint& constraint);

  /// Appends a token. False when it does not fit; then nothing fits ever after.
  bool accept(std::int32_t id);
  /// Appends bytes, with the same result.
  bool accept_text(std::string_view bytes);

  /// The text matches as a whole, so it may end here.
  bool is_complete() const;
  /// Nothing can come any more: the text is complete, or a token did not fit.
  bool is_finished() const;
  /// False after a token that did not fit.
  bool is_alive() const;

  /// Bit id % 64 of word id / 64 is set when the token may come next; ends of the text are not
  /// among them (see is_complete). All zero: no token of the vocabulary fits.
  std::vector<std::uint64_t> mask() const;
  /// -infinity for what may not come; of `end_ids` all are left when the text is complete, else
  /// none. Scores behind the vocabulary are removed too.
  void apply(std::span<const std::int32_t> end_ids, std::span<float> scores) const;

  /// The bytes that must come next, whole characters, at most `limit`; empty when there is a
  /// choice, and when the text may end.
  std::string forced_text(std::size_t limit = 4096) const;

 private:
  std::shared_ptr<ConstraintState> shared_;
  std::shared_ptr<Automaton> automaton_;
  std::int32_t state_;
  bool at_start_ = true;
};

}  // namespace tenon::text::grammar
