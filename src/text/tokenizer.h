// Text to token ids and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::text {

struct EncodeOptions {
  bool add_special_tokens = true;  ///< what the tokenizer puts around a text, as BOS
  bool parse_special = true;       ///< `</s>` in the text becomes its id; else it is plain text
  /// The text has guards: see Tokenizer::guard. They are taken out of it.
  bool guarded = false;
};

/// U+FDD0, which is no character: a special token right behind it is plain text.
inline constexpr std::string_view kGuard = "\xEF\xB7\x90";

/// A decoding under way: ids in, text out as soon as it is certain. One thread.
class Decoding {
 public:
  virtual ~Decoding() = default;
  virtual void push(std::int32_t id, std::string& out) = 0;
  virtual void finish(std::string& out) = 0;
};

/// Immutable, any number of threads. Ids and text are those of the Hugging Face fast tokenizer of
/// the same files.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Bytes that are not UTF-8 count as U+FFFD, one for each maximal ill-formed part. Throws
  /// Error(bad_input) when a pattern of the tokenizer does not finish on the text.
  virtual std::vector<std::int32_t> encode(std::string_view text,
                                           const EncodeOptions& options = {}) const = 0;
  /// The text with a guard before each special token in it, so that as a part of a larger text it
  /// stays text (with EncodeOptions::guarded). A guard that it brings becomes U+FFFD. As it is
  /// where a tokenizer has no special tokens.
  virtual std::string guard(std::string_view text) const { return std::string(text); }
  /// Valid UTF-8. Ids that name no token add nothing (a model may have more rows than tokens).
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;
  /// Decoding in steps; must not outlive the tokenizer. See StreamingDecoder.
  virtual std::unique_ptr<Decoding> start_decoding(bool skip_special) const = 0;

  /// The greatest id and one more, added tokens included.
  virtual std::int32_t vocabulary_size() const = 0;
  virtual std::optional<std::int32_t> token_id(std::string_view token) const = 0;
  /// As it stands in the vocabulary (`Ġthe`, `▁the`). Throws Error(bad_input) for an id that names
  /// none.
  virtual std::string token(std::int32_t id) const = 0;
  virtual bool is_special(std::int32_t id) const = 0;

  /// Ids that the files name for these roles; the pad token is often absent.
  std::optional<std::int32_t> bos() const { return roles_.bos; }
  std::optional<std::int32_t> eos() const { return roles_.eos; }
  std::optional<std::int32_t> pad() const { return roles_.pad; }
  std::optional<std::int32_t> unk() const { return roles_.unk; }

 protected:
  struct Roles {
    std::optional<std::int32_t> bos, eos, pad, unk;
  };
  Roles roles_;
};

/// Reads what stands in a checkpoint directory: tokenizer.json first, else tokenizer.model (a
/// SentencePiece model), else vocab.json with merges.txt; tokenizer_config.json,
/// special_tokens_map.json and config.json refine it. Throws Error(bad_input) naming the file.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& directory);

using TokenizerFiles = std::map<std::string, std::string, std::less<>>;
/// The same from contents in memory, by file name.
std::unique_ptr<Tokenizer> load_tokenizer(const TokenizerFiles& files);
/// Of files by path those in `folder` ("tokenizer/"), by the rest of their path.
TokenizerFiles files_below(const TokenizerFiles& files, std::string_view folder);
/// Those of a directory that load_tokenizer reads.
TokenizerFiles read_tokenizer_files(const std::filesystem::path& directory);

}  // namespace tenon::text
