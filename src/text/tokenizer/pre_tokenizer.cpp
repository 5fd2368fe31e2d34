// ByteLevel, Metaspace, Split, Digits, Punctuation, Whitespace and sequences of pre-tokenizers.
#include "text/tokenizer/pre_tokenizer.h"

#include <utility>

#include "base/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/json_parts.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/split.h"
#include "text/tokenizer/utf8.h"
#include "text/unicode/tables.h"

namespace tenon::text {
namespace {

constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Builds a new text from pieces; begin..end of what was appended since `begin` become a piece.
class Rewriter {
 public:
  explicit Rewriter(Pieces& target) : target_(target) { text_.reserve(target.text.size() * 3 / 2); }
  std::string& text() { return text_; }
  void add(std::size_t begin, bool at_start) {
    if (text_.size() > begin) pieces_.push_back({begin, text_.size(), at_start});
  }
  void finish() {
    target_.text = std::move(text_);
    target_.pieces = std::move(pieces_);
  }

 private:
  Pieces& target_;
  std::string text_;
  std::vector<Piece> pieces_;
};

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> parts)
      : parts_(std::move(parts)) {}
  void apply(Pieces& pieces) const override {
    for (const auto& part : parts_) part->apply(pieces);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

class SplitPreTokenizer : public PreTokenizer {
 public:
  SplitPreTokenizer(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void apply(Pieces& pieces) const override {
    std::vector<Piece> out;
    out.reserve(pieces.text.size() / 4);
    for (const Piece& piece : pieces.pieces) {
      append_split(piece, pattern_.find_all(pieces.view(piece)), behavior_, invert_, out);
    }
    pieces.pieces = std::move(out);
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

// Cuts at single characters of a class.
class CharacterPreTokenizer : public PreTokenizer {
 public:
  using Member = bool (*)(char32_t);
  CharacterPreTokenizer(Member member, SplitBehavior behavior)
      : member_(member), behavior_(behavior) {}
  void apply(Pieces& pieces) const override {
    std::vector<Piece> out;
    std::vector<Span> matches;
    for (const Piece& piece : pieces.pieces) {
      const std::string_view text = pieces.view(piece);
      matches.clear();
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = at;
        if (member_(next_point(text, at))) matches.push_back({begin, at});
      }
      append_split(piece, matches, behavior_, false, out);
    }
    pieces.pieces = std::move(out);
  }

 private:
  Member member_;
  SplitBehavior behavior_;
};

// Keeps runs of word characters and runs of what is neither word nor space.
class WhitespacePreTokenizer : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    std::vector<Piece> out;
    for (const Piece& piece : pieces.pieces) cut(pieces.view(piece), piece, out);
    pieces.pieces = std::move(out);
  }

 private:
  enum class Kind { space, word, other };
  static void cut(std::string_view text, const Piece& piece, std::vector<Piece>& out) {
    Kind previous = Kind::space;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      const char32_t point = next_point(text, at);
      const Kind kind = classify(point).word() ? Kind::word
                        : is_space(point)      ? Kind::space
                                               : Kind::other;
      if (kind != Kind::space) {
        if (kind == previous) {
          out.back().end = piece.begin + at;
        } else {
          out.push_back({piece.begin + begin, piece.begin + at, piece.at_start && begin == 0});
        }
      }
      previous = kind;
    }
  }
};

class MetaspacePreTokenizer : public PreTokenizer {
 public:
  enum class Prepend { always, first, never };
  MetaspacePreTokenizer(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}

  void apply(Pieces& pieces) const override {
    Rewriter out(pieces);
    for (const Piece& piece : pieces.pieces) {
      const std::size_t begin = out.text().size();
      const std::string_view text = pieces.view(piece);
      const bool prefixed = text.starts_with(' ') || text.starts_with(replacement_);
      const bool wanted =
          prepend_ == Prepend::always || (prepend_ == Prepend::first && piece.at_start);
      if (wanted && !prefixed) out.text() += replacement_;
      for (const char byte : text) {
        if (byte == ' ') {
          out.text() += replacement_;
        } else {
          out.text() += byte;
        }
      }
      out.add(begin, piece.at_start);
    }
    out.finish();
    if (!split_) return;
    std::vector<Piece> parts;
    const Pattern mark = Pattern::literal(replacement_);
    for (const Piece& piece : pieces.pieces) {
      append_split(piece, mark.find_all(pieces.view(piece)), SplitBehavior::merged_with_next, false,
                   parts);
    }
    pieces.pieces = std::move(parts);
  }

 private:
  std::string replacement_;
  Prepend prepend_;
  bool split_;
};

class ByteLevelPreTokenizer : public PreTokenizer {
 public:
  ByteLevelPreTokenizer(bool add_prefix_space, bool use_regex) : prefix_(add_prefix_space) {
    if (use_regex) {
      split_ = std::make_unique<SplitPreTokenizer>(Pattern::regex(kByteLevelPattern),
                                                   SplitBehavior::isolated, false);
    }
  }
  void apply(Pieces& pieces) const override {
    if (prefix_) add_spaces(pieces);
    if (split_ != nullptr) split_->apply(pieces);
    Rewriter out(pieces);
    for (const Piece& piece : pieces.pieces) {
      const std::size_t begin = out.text().size();
      append_byte_level(out.text(), pieces.view(piece));
      out.add(begin, piece.at_start);
    }
    out.finish();
  }

 private:
  static void add_spaces(Pieces& pieces) {
    Rewriter out(pieces);
    for (const Piece& piece : pieces.pieces) {
      const std::size_t begin = out.text().size();
      if (!pieces.view(piece).starts_with(' ')) out.text() += ' ';
      out.text() += pieces.view(piece);
      out.add(begin, piece.at_start);
    }
    out.finish();
  }

  bool prefix_;
  std::unique_ptr<SplitPreTokenizer> split_;
};

std::unique_ptr<PreTokenizer> make_metaspace(const Json& json) {
  using Prepend = MetaspacePreTokenizer::Prepend;
  const std::string replacement = required_string(json, "replacement");
  std::size_t behind = 0;
  if (replacement.empty() || (next_point(replacement, behind), behind != replacement.size())) {
    bad_input("\"replacement\" of Metaspace is \"{}\", one character was expected", replacement);
  }
  const bool add = get_bool(json, "add_prefix_space", true);
  const std::string scheme = get_string(json, "prepend_scheme", add ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    bad_input("\"prepend_scheme\" is \"{}\", always, first or never was expected", scheme);
  }
  return std::make_unique<MetaspacePreTokenizer>(replacement,
                                                 scheme == "always"  ? Prepend::always
                                                 : scheme == "first" ? Prepend::first
                                                                     : Prepend::never,
                                                 get_bool(json, "split", true));
}

std::unique_ptr<PreTokenizer> make_sequence(const Json& json) {
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  for (const Json& part : array_field(json, "pretokenizers")) {
    if (auto made = make_pre_tokenizer(part)) parts.push_back(std::move(made));
  }
  return std::make_unique<SequencePreTokenizer>(std::move(parts));
}

std::unique_ptr<PreTokenizer> by_character(CharacterPreTokenizer::Member member,
                                           SplitBehavior behavior) {
  return std::make_unique<CharacterPreTokenizer>(member, behavior);
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& json,
                                                 const bool* byte_level_prefix_space) {
  if (json.is_null()) return nullptr;
  const std::string type = type_field(json, "pre-tokenizer");
  if (type == "Sequence") return make_sequence(json);
  if (type == "ByteLevel") {
    const bool prefix = byte_level_prefix_space != nullptr
                            ? *byte_level_prefix_space
                            : get_bool(json, "add_prefix_space", true);
    return std::make_unique<ByteLevelPreTokenizer>(prefix, get_bool(json, "use_regex", true));
  }
  if (type == "Metaspace") return make_metaspace(json);
  if (type == "Split") {
    return std::make_unique<SplitPreTokenizer>(
        pattern_field(json), parse_split_behavior(required_string(json, "behavior")),
        get_bool(json, "invert", false));
  }
  if (type == "Digits") {
    return by_character([](char32_t point) { return classify(point).numeric(); },
                        get_bool(json, "individual_digits", false) ? SplitBehavior::isolated
                                                                   : SplitBehavior::contiguous);
  }
  if (type == "Punctuation") {
    return by_character([](char32_t point) { return classify(point).punctuation(); },
                        parse_split_behavior(get_string(json, "behavior", "Isolated")));
  }
  if (type == "Whitespace") return std::make_unique<WhitespacePreTokenizer>();
  if (type == "WhitespaceSplit") return by_character(is_space, SplitBehavior::removed);
  bad_input(
      "pre-tokenizer \"{}\" is not supported; known are Sequence, ByteLevel, Metaspace, Split, "
      "Digits, Punctuation, Whitespace, WhitespaceSplit",
      type);
}

}  // namespace tenon::text
