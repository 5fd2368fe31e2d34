// Checked filling of the two directions.
#include "text/tokenizer/vocabulary.h"

#include <utility>

#include "base/error.h"

namespace tenon::text {

void Vocabulary::reserve(std::size_t count) {
  ids_.reserve(count);
  tokens_.reserve(count);
}

void Vocabulary::add(std::string token, std::int64_t id) {
  if (token.size() > kMaxTokenBytes) {
    bad_input("the token of id {} has {} bytes, at most {} are read", id, token.size(),
              kMaxTokenBytes);
  }
  if (id < 0 || id > kMaxId) {
    bad_input("token \"{}\" has id {}, 0 to {} was expected", token, id, kMaxId);
  }
  const auto index = static_cast<std::size_t>(id);
  if (index >= tokens_.size()) tokens_.resize(index + 1, nullptr);
  if (tokens_[index] != nullptr) {
    bad_input("tokens \"{}\" and \"{}\" have the same id {}", *tokens_[index], token, id);
  }
  const auto [entry, inserted] = ids_.emplace(std::move(token), static_cast<std::int32_t>(id));
  if (!inserted) {
    bad_input("token \"{}\" has two ids, {} and {}", entry->first, entry->second, id);
  }
  tokens_[index] = &entry->first;
}

std::optional<std::int32_t> Vocabulary::id(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const std::string* Vocabulary::token(std::int32_t id) const {
  if (id < 0 || id >= bound()) return nullptr;
  return tokens_[static_cast<std::size_t>(id)];
}

}  // namespace tenon::text
