// Byte-pair encoding of one piece of text, as the BPE model of tokenizer.json defines it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/tokenizer/vocabulary.h"

namespace tenon::text {

/// Immutable but for a cache of words that is safe for any number of threads.
class BpeModel {
 public:
  /// From the "model" section. Error(bad_input) for merges of unknown tokens, fields that are not
  /// supported, and whatever Vocabulary refuses.
  explicit BpeModel(const Json& model);
  ~BpeModel();
  BpeModel(const BpeModel&) = delete;
  BpeModel& operator=(const BpeModel&) = delete;

  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  const std::optional<std::string>& unknown_token() const noexcept { return unknown_token_; }

  /// Appends the ids of `word`, valid UTF-8. Time n log n in its length.
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const;

 private:
  class Cache;
  class MergeTable;
  struct Merge {
    std::uint32_t rank;
    std::int32_t id;
  };

  void read_merges(const Json& merges, std::string_view prefix);
  void read_bytes();
  std::vector<std::int32_t> symbols_of(std::string_view word) const;
  void merge_short(std::vector<std::int32_t>& symbols) const;
  void merge_long(std::vector<std::int32_t>& symbols) const;

  Vocabulary vocabulary_;
  std::unique_ptr<MergeTable> merges_;
  std::optional<std::string> unknown_token_;
  std::optional<std::int32_t> unknown_id_;
  std::string prefix_;  // of every character but the first of a word
  std::string suffix_;  // of the last character of a word
  bool fuse_unknown_;
  bool byte_fallback_;
  bool ignore_merges_;
  std::vector<std::int32_t> byte_ids_;  // of <0x00>...<0xFF>; -1: not in the vocabulary
  std::unique_ptr<Cache> cache_;
};

}  // namespace tenon::text
