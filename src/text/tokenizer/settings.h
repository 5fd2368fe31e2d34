// What the small files beside a tokenizer say about it: tokenizer_config.json,
// special_tokens_map.json, config.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"
#include "text/tokenizer/added_tokens.h"

namespace tenon::text {

struct TokenizerSettings {
  /// tokenizer_class without "Fast"; from the model type where no file names it; often empty.
  std::string family;
  std::optional<AddedToken> bos, eos, unk, pad;
  std::vector<AddedToken> more_special;
  std::vector<std::pair<std::int64_t, AddedToken>> added;  ///< with ids, in their order
  /// Families that put BOS and EOS around a text by these flags, whatever tokenizer.json says.
  bool frames_by_flags = false;
  bool add_bos = false;
  bool add_eos = false;
  bool legacy = true;
  std::optional<bool> add_prefix_space;
  bool clean_up_spaces = false;
  bool has_config = false;  ///< tokenizer_config.json is there
};

TokenizerSettings read_settings(const TokenizerFiles& files);

}  // namespace tenon::text
