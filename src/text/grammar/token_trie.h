// TokenTrie: the bytes of a tokenizer's tokens as a trie in preorder.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace tenon::text::grammar {

/// Immutable, any number of threads. Special tokens and tokens without text stand outside of it.
class TokenTrie {
 public:
  struct Node {
    std::uint32_t next;         ///< the node behind this one's subtree
    std::uint32_t parent;       ///< the root's is itself
    std::uint32_t first_token;  ///< up to that of the node behind
    std::uint16_t depth;        ///< bytes; the root's is 0
    std::uint8_t byte;
  };

  /// The text of an id is what it adds to the text of the ids before it (see Tokenizer::decode).
  explicit TokenTrie(const Tokenizer& tokenizer);
  /// By id; an empty text makes a token that is never allowed.
  explicit TokenTrie(std::vector<std::string> texts, bool strips_first_space = false);

  /// Number of ids.
  std::size_t size() const { return texts_.size(); }
  std::string_view text(std::int32_t id) const;
  /// In preorder, the root first and one end mark last.
  const std::vector<Node>& nodes() const { return nodes_; }
  std::size_t node_count() const { return nodes_.size() - 1; }
  /// Ids in the order of the nodes.
  const std::vector<std::int32_t>& tokens() const { return tokens_; }
  /// The first token of a text loses a space in front.
  bool strips_first_space() const { return strips_first_space_; }
  /// Bytes that some token writes alone, or as a part of one character.
  std::bitset<256> available_bytes() const;

 private:
  void build();

  std::vector<std::string> texts_;
  bool strips_first_space_ = false;
  std::vector<Node> nodes_;
  std::vector<std::int32_t> tokens_;
};

}  // namespace tenon::text::grammar
