// The tokenizer that a SentencePiece file, tokenizer.model, describes.
#pragma once

#include <memory>
#include <string>

#include "text/tokenizer.h"
#include "text/tokenizer/settings.h"

namespace tenon::text {

/// As the Llama tokenizer of the same file: control pieces are special tokens, U+2581 is a space,
/// byte pieces are bytes. Throws Error(bad_input).
std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const std::string& bytes,
                                                        TokenizerSettings settings);

}  // namespace tenon::text
