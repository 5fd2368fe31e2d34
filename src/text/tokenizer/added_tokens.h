// Tokens that are found in the text itself, before anything else looks at it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/vocabulary.h"

namespace tenon::text {

struct AddedToken {
  std::string content;
  bool single_word = false;  ///< only between characters that are not of a word
  bool lstrip = false;       ///< takes the spaces before it
  bool rstrip = false;       ///< takes the spaces behind it
  bool normalized = true;    ///< looked for in the normalized text
  bool special = false;      ///< skipped by decode
};
AddedToken added_token(const Json& json);

/// A part of a text: an added token (its id) or plain text (-1).
struct TextPart {
  Span span;
  std::int32_t id;
};

/// Finds the leftmost, then longest of its strings. Immutable after the last `add`.
class TokenMatcher {
 public:
  /// `name` is what stands in the text; the empty string is ignored, of two equal ones the first
  /// counts.
  void add(std::string_view name, std::int32_t id, const AddedToken& token);
  /// The text in parts, in order. `parse_special` false: special tokens are plain text, as they are
  /// behind kGuard.
  std::vector<TextPart> split(std::string_view text, bool parse_special) const;
  /// Where special tokens begin, also inside of each other.
  std::vector<std::size_t> find_special(std::string_view text) const;
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    std::int32_t id;
    AddedToken token;
  };
  struct Node {
    std::map<unsigned char, std::size_t> next;
    std::optional<std::size_t> entry;
  };
  struct Match {
    std::size_t length = 0;  // 0: none
    std::size_t entry = 0;
  };
  Match longest_at(std::string_view text, std::size_t at) const;

  std::vector<Entry> entries_;
  std::vector<Node> nodes_{1};
  std::array<bool, 256> first_{};
};

/// The added tokens of a tokenizer, by id.
class AddedTokens {
 public:
  /// Adds or replaces (same content); special once, special ever. Takes the id of `model` when that
  /// knows the content, `id` else, or the next free one when `id` is none.
  void add(AddedToken token, const Vocabulary& model, std::optional<std::int64_t> id);
  const std::map<std::int32_t, AddedToken>& by_id() const { return by_id_; }
  std::optional<std::int32_t> id(std::string_view content) const;
  std::int32_t bound() const { return by_id_.empty() ? 0 : by_id_.rbegin()->first + 1; }

 private:
  std::map<std::int32_t, AddedToken> by_id_;
  std::map<std::string, std::int32_t, std::less<>> ids_;
};

}  // namespace tenon::text
