// The tokenizer that a tokenizer.json describes.
#pragma once

#include <memory>

#include "base/json.h"
#include "text/tokenizer.h"
#include "text/tokenizer/settings.h"

namespace tenon::text {

/// Throws Error(bad_input) for what is malformed or not supported, by name.
std::unique_ptr<Tokenizer> make_json_tokenizer(const Json& json, const TokenizerSettings& settings);

/// tokenizer.json made from vocab.json and merges.txt, for the families CLIP, GPT-2 and GPT-NeoX.
Json json_from_merges(std::string_view vocabulary, std::string_view merges,
                      const TokenizerSettings& settings);

}  // namespace tenon::text
