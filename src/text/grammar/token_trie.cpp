// What each token adds to a text, sorted into a trie.
#include "text/grammar/token_trie.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text::grammar {
namespace {

// A token of one letter, after which others show what they add in the middle of a text.
std::optional<std::int32_t> find_anchor(const Tokenizer& tokenizer) {
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    const auto id = tokenizer.token_id(std::string(1, letter));
    if (id && !tokenizer.is_special(*id)) return id;
  }
  return std::nullopt;
}

std::string decoded(const Tokenizer& tokenizer, std::span<const std::int32_t> ids) {
  return tokenizer.decode(ids, false);
}

bool is_byte_level(const Tokenizer& tokenizer, std::int32_t anchor) {
  const auto space = tokenizer.token_id("\u0120");
  if (!space) return false;
  const std::array<std::int32_t, 2> both = {anchor, *space};
  return decoded(tokenizer, both) == decoded(tokenizer, std::span(both).first(1)) + " ";
}

std::string token_text(const Tokenizer& tokenizer, std::int32_t id, bool byte_level,
                       std::optional<std::int32_t> anchor) {
  const std::string name = tokenizer.token(id);
  if (byte_level) return from_byte_level(name).value_or(name);
  if (!anchor) return decoded(tokenizer, std::span(&id, 1));
  const std::array<std::int32_t, 2> both = {*anchor, id};
  const std::string before = decoded(tokenizer, std::span(both).first(1));
  const std::string after = decoded(tokenizer, both);
  std::string added = after.starts_with(before) ? after.substr(before.size()) : std::string();
  if (const auto byte = parse_byte_token(name); byte && added != name) {
    return std::string(1, static_cast<char>(*byte));
  }
  return added;
}

}  // namespace

TokenTrie::TokenTrie(const Tokenizer& tokenizer) {
  const auto anchor = find_anchor(tokenizer);
  const bool byte_level = anchor && is_byte_level(tokenizer, *anchor);
  texts_.resize(static_cast<std::size_t>(tokenizer.vocabulary_size()));
  for (std::int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    if (tokenizer.is_special(id) || id == tokenizer.eos() || id == tokenizer.bos() ||
        id == tokenizer.pad() || id == tokenizer.unk()) {
      continue;
    }
    std::string& text = texts_[static_cast<std::size_t>(id)];
    try {
      text = token_text(tokenizer, id, byte_level, anchor);
    } catch (const Error&) {
      continue;  // an id that names no token
    }
    if (!strips_first_space_ && text.size() > 1 && text[0] == ' ') {
      strips_first_space_ =
          decoded(tokenizer, std::span(&id, 1)) == std::string_view(text).substr(1);
    }
  }
  build();
}

TokenTrie::TokenTrie(std::vector<std::string> texts, bool strips_first_space)
    : texts_(std::move(texts)), strips_first_space_(strips_first_space) {
  build();
}

std::string_view TokenTrie::text(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= texts_.size()) return {};
  return texts_[static_cast<std::size_t>(id)];
}

void TokenTrie::build() {
  for (std::size_t id = 0; id < texts_.size(); ++id) {
    if (!texts_[id].empty() && texts_[id].size() < 60000) {
      tokens_.push_back(static_cast<std::int32_t>(id));
    }
  }
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [&](std::int32_t a, std::int32_t b) { return text(a) < text(b); });
  nodes_.push_back({0, 0, 0, 0, 0});
  std::vector<std::uint32_t> path = {0};  // nodes from the root to the last one
  const auto close = [&](std::size_t depth) {
    for (; path.size() > depth + 1; path.pop_back()) {
      nodes_[path.back()].next = static_cast<std::uint32_t>(nodes_.size());
    }
  };
  for (std::uint32_t t = 0; t < tokens_.size(); ++t) {
    const std::string_view word = text(tokens_[t]);
    std::size_t same = 0;
    while (same < word.size() && same + 1 < path.size() &&
           nodes_[path[same + 1]].byte == static_cast<std::uint8_t>(word[same])) {
      ++same;
    }
    close(same);
    for (std::size_t i = same; i < word.size(); ++i) {
      nodes_.push_back({0, path.back(), t, static_cast<std::uint16_t>(i + 1),
                        static_cast<std::uint8_t>(word[i])});
      path.push_back(static_cast<std::uint32_t>(nodes_.size() - 1));
    }
  }
  close(0);
  const auto count = static_cast<std::uint32_t>(nodes_.size());
  nodes_[0].next = count;
  nodes_.push_back({count, 0, static_cast<std::uint32_t>(tokens_.size()), 0, 0});
}

std::bitset<256> TokenTrie::available_bytes() const {
  std::bitset<256> bytes;
  for (const std::int32_t id : tokens_) {
    const std::string_view word = text(id);
    const bool is_character =
        word.size() <= 4 && is_valid_utf8(word) && step_utf8(word).length == word.size();
    if (word.size() > 1 && !is_character) continue;
    for (const char c : word) bytes.set(static_cast<std::uint8_t>(c));
  }
  return bytes;
}

}  // namespace tenon::text::grammar
