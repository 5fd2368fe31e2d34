// What the tests of constraints share: small vocabularies, and masks as lists.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/grammar/constraint.h"
#include "text/test_support.h"

namespace tenon::text::grammar {

inline std::shared_ptr<const TokenTrie> tokens_of(std::vector<std::string> texts) {
  return std::make_shared<const TokenTrie>(std::move(texts));
}

/// One token for each byte.
inline std::shared_ptr<const TokenTrie> byte_tokens() {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  return tokens_of(std::move(texts));
}

/// The ids that the mask lets through.
inline std::vector<int> allowed(const Matcher& matcher, const TokenTrie& tokens) {
  const auto mask = matcher.mask();
  std::vector<int> ids;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if ((mask[id / 64] >> (id % 64) & 1) != 0) ids.push_back(static_cast<int>(id));
  }
  return ids;
}

}  // namespace tenon::text::grammar
