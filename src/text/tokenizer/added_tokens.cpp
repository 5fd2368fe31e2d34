// Search for added tokens with a trie of bytes.
#include "text/tokenizer/added_tokens.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/tokenizer.h"
#include "text/tokenizer/json_parts.h"
#include "text/tokenizer/utf8.h"
#include "text/unicode/tables.h"

namespace tenon::text {
namespace {

bool starts_with_word(std::string_view text) {
  std::size_t at = 0;
  return !text.empty() && classify(next_point(text, at)).word();
}

// Where the last character of `text` (not empty) begins.
std::size_t last_character(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80) --at;
  return at;
}

bool ends_with_word(std::string_view text) {
  return !text.empty() && starts_with_word(text.substr(last_character(text)));
}

// Where the spaces at the end of `text` begin, not before `from`.
std::size_t spaces_begin(std::string_view text, std::size_t from) {
  while (text.size() > from) {
    std::size_t at = last_character(text);
    const std::size_t begin = at;
    if (!is_space(next_point(text, at))) break;
    text = text.substr(0, begin);
  }
  return text.size();
}

// Bytes of space at the front of `text`.
std::size_t spaces_at_front(std::string_view text) {
  std::size_t behind = 0;
  for (std::size_t at = 0; at < text.size() && is_space(next_point(text, at));) behind = at;
  return behind;
}

}  // namespace

AddedToken added_token(const Json& json) {
  AddedToken token;
  token.content = required_string(json, "content");
  token.single_word = get_bool(json, "single_word", false);
  token.lstrip = get_bool(json, "lstrip", false);
  token.rstrip = get_bool(json, "rstrip", false);
  token.special = get_bool(json, "special", false);
  token.normalized = get_bool(json, "normalized", !token.special);
  return token;
}

void TokenMatcher::add(std::string_view name, std::int32_t id, const AddedToken& token) {
  if (name.empty()) return;
  std::size_t node = 0;
  for (const char byte : name) {
    const auto [edge, inserted] =
        nodes_[node].next.emplace(static_cast<unsigned char>(byte), nodes_.size());
    node = edge->second;
    if (inserted) nodes_.emplace_back();
  }
  if (nodes_[node].entry) return;
  nodes_[node].entry = entries_.size();
  entries_.push_back({id, token});
  first_[static_cast<unsigned char>(name[0])] = true;
}

TokenMatcher::Match TokenMatcher::longest_at(std::string_view text, std::size_t at) const {
  Match match;
  std::size_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto edge = nodes_[node].next.find(static_cast<unsigned char>(text[i]));
    if (edge == nodes_[node].next.end()) break;
    node = edge->second;
    if (nodes_[node].entry) match = {i + 1 - at, *nodes_[node].entry};
  }
  return match;
}

std::vector<TextPart> TokenMatcher::split(std::string_view text, bool parse_special) const {
  std::vector<TextPart> parts;
  std::size_t behind = 0;  // of the last part
  Span run{1, 0};  // the spaces taken last: a token of spaces would scan them again and again
  for (std::size_t at = 0; at < text.size() && !empty();) {
    const Match match =
        first_[static_cast<unsigned char>(text[at])] ? longest_at(text, at) : Match{};
    if (match.length == 0) {
      ++at;
      continue;
    }
    const Entry& entry = entries_[match.entry];
    std::size_t begin = at;
    std::size_t end = at + match.length;
    at = end;
    if (entry.token.special && !parse_special) continue;
    if (entry.token.special && text.substr(0, begin).ends_with(kGuard)) continue;
    if (entry.token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    if (entry.token.lstrip) begin = spaces_begin(text.substr(0, begin), behind);
    if (entry.token.rstrip) {
      if (end < run.begin || end > run.end) run = {end, end + spaces_at_front(text.substr(end))};
      end = run.end;
    }
    if (end <= behind) continue;  // a token of spaces that the one before it has taken
    begin = std::max(begin, behind);
    if (behind < begin) parts.push_back({{behind, begin}, -1});
    parts.push_back({{begin, end}, entry.id});
    behind = end;
  }
  if (behind < text.size()) parts.push_back({{behind, text.size()}, -1});
  return parts;
}

std::vector<std::size_t> TokenMatcher::find_special(std::string_view text) const {
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!first_[static_cast<unsigned char>(text[at])]) continue;
    const Match match = longest_at(text, at);
    if (match.length > 0 && entries_[match.entry].token.special) places.push_back(at);
  }
  return places;
}

void AddedTokens::add(AddedToken token, const Vocabulary& model, std::optional<std::int64_t> id) {
  if (token.content.empty()) return;
  if (token.content.size() > Vocabulary::kMaxTokenBytes) {
    bad_input("an added token has {} bytes, at most {} are read", token.content.size(),
              Vocabulary::kMaxTokenBytes);
  }
  const auto known = ids_.find(token.content);
  const auto in_model = model.id(token.content);
  const std::int64_t wanted = known != ids_.end() ? known->second
                              : in_model          ? *in_model
                              : id                ? *id
                                                  : std::max(bound(), model.bound());
  if (wanted < 0 || wanted > Vocabulary::kMaxId) {
    bad_input("added token \"{}\" has id {}, 0 to {} was expected", token.content, wanted,
              Vocabulary::kMaxId);
  }
  const auto key = static_cast<std::int32_t>(wanted);
  if (known == ids_.end()) {
    const std::string* other = model.token(key);
    if (!in_model && other != nullptr) {
      bad_input("added token \"{}\" has id {}, which is that of token \"{}\"", token.content,
                wanted, *other);
    }
    const auto [entry, inserted] = by_id_.emplace(key, token);
    if (!inserted) {
      bad_input("added tokens \"{}\" and \"{}\" have the same id {}", entry->second.content,
                token.content, wanted);
    }
    ids_.emplace(token.content, key);
    return;
  }
  token.special = token.special || by_id_.at(key).special;
  by_id_.at(key) = std::move(token);
}

std::optional<std::int32_t> AddedTokens::id(std::string_view content) const {
  const auto found = ids_.find(content);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

}  // namespace tenon::text
