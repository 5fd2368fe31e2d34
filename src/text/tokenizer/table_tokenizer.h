// What all tokenizers share: added tokens cut out of the text, ids around it, decoding by a chain.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/settings.h"
#include "text/tokenizer/vocabulary.h"

namespace tenon::text {

/// A derived class calls `set_up` at the end of its constructor.
class TableTokenizer : public Tokenizer {
 public:
  std::vector<std::int32_t> encode(std::string_view text,
                                   const EncodeOptions& options) const override;
  std::string guard(std::string_view text) const override;
  std::unique_ptr<Decoding> start_decoding(bool skip_special) const override;
  std::int32_t vocabulary_size() const override;
  std::optional<std::int32_t> token_id(std::string_view token) const override;
  std::string token(std::int32_t id) const override;
  bool is_special(std::int32_t id) const override;

  /// The token of an id, or null.
  const std::string* find_token(std::int32_t id) const;

 protected:
  /// The tokens of the model, without those added.
  virtual const Vocabulary& vocabulary() const = 0;
  virtual void normalize(std::string& text) const = 0;
  /// Appends the ids of normalized text without added tokens. `at_start`: the input begins with it.
  virtual void encode_plain(std::string text, bool at_start,
                            std::vector<std::int32_t>& ids) const = 0;

  struct Parts {
    AddedTokens added;
    DecoderChain decoder;
    Frame frame;
  };
  /// Adds the tokens that `settings` names, and takes roles and flags from it.
  void set_up(Parts parts, const TokenizerSettings& settings);

 private:
  void encode_part(std::string text, bool at_start, const EncodeOptions& options,
                   std::vector<std::int32_t>& ids) const;

  Parts parts_;
  TokenMatcher in_text_;        // added tokens looked for as they stand
  TokenMatcher in_normalized_;  // those looked for behind the normalizer
};

}  // namespace tenon::text
