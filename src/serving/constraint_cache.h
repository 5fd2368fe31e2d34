// Compiled constraints of one model by their content: made once, outside of the engine's thread,
// and kept in bounded memory.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "text/grammar/constraint.h"

namespace tenon::serving {

/// Any number of threads.
class ConstraintCache {
 public:
  using Constraint = std::shared_ptr<const text::grammar::Constraint>;
  static constexpr std::size_t kMaxEntries = 64;
  static constexpr std::size_t kMaxBytes = std::size_t{256} << 20;  ///< of all that are kept
  static constexpr int kMaxWaiting = 8;                             ///< for the one that compiles

  /// The tokenizer must outlive it; null: every constraint is refused.
  explicit ConstraintCache(const text::Tokenizer* tokenizer) : tokenizer_(tokenizer) {}

  /// That of `key`, which must tell all that `make` reads. One is compiled at a time, under the
  /// limits of text/grammar, which are counted and so end it after seconds. Error(bad_input): what
  /// cannot be compiled; Rejected: too many wait.
  Constraint get(const std::string& key, const std::function<text::grammar::Grammar()>& make);

 private:
  struct Entry {
    std::string key;
    Constraint constraint;
  };
  Constraint find(const std::string& key);
  void keep(const std::string& key, const Constraint& constraint);

  const text::Tokenizer* tokenizer_;
  std::mutex compiling_;  // held for seconds; before mutex_
  std::shared_ptr<const text::grammar::TokenTrie> tokens_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the last used first
  int waiting_ = 0;
};

}  // namespace tenon::serving
