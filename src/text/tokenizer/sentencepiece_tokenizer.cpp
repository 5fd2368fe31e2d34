// Encoding by the SentencePiece library, everything around it as in the other tokenizers.
#include "text/tokenizer/sentencepiece_tokenizer.h"

#include <utility>
#include <vector>

#include <sentencepiece_processor.h>

#include "base/error.h"
#include "text/tokenizer/sentencepiece_model.h"
#include "text/tokenizer/table_tokenizer.h"

namespace tenon::text {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

// {normalizer_spec {add_dummy_prefix: false}}; behind a model it overrides the field.
constexpr std::string_view kNoDummyPrefix{"\x1a\x02\x18\x00", 4};

Json decoder_json(bool strips_first_space) {
  Json steps = Json::array(
      {{{"type", "Replace"}, {"pattern", {{"String", std::string(kSpaceMark)}}}, {"content", " "}},
       {{"type", "ByteFallback"}},
       {{"type", "Fuse"}}});
  if (strips_first_space) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
}

class SentencePieceTokenizer : public TableTokenizer {
 public:
  SentencePieceTokenizer(const std::string& bytes, TokenizerSettings settings)
      : legacy_(settings.legacy), prefixes_(settings.add_prefix_space.value_or(true)) {
    const SentencePieceModel model = read_sentencepiece_model(bytes);
    const bool own_prefix = !legacy_ || !prefixes_;
    load(own_prefix ? bytes + std::string(kNoDummyPrefix) : bytes);
    Parts parts;
    vocabulary_.reserve(model.pieces.size());
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
      vocabulary_.add(model.pieces[id].text, static_cast<std::int64_t>(id));
      add_token(model.pieces[id], static_cast<std::int64_t>(id), parts.added);
    }
    parts.decoder = DecoderChain(decoder_json(prefixes_));
    complete(settings);
    set_up(std::move(parts), settings);
  }

 protected:
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  void normalize(std::string&) const override {}
  void encode_plain(std::string text, bool at_start,
                    std::vector<std::int32_t>& ids) const override {
    const bool marked = text.starts_with(' ') || text.starts_with(kSpaceMark);
    if (!legacy_ && prefixes_ && at_start && !marked) text.insert(0, kSpaceMark);
    std::vector<int> pieces;
    const auto status = processor_.Encode(text, &pieces);
    if (!status.ok()) {
      fail(ErrorCode::internal, "SentencePiece could not encode: {}", status.error_message());
    }
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }

 private:
  using Kind = SentencePieceModel::Kind;
  void load(const std::string& bytes) {
    try {
      const auto status = processor_.LoadFromSerializedProto(bytes);
      if (!status.ok()) bad_input("not a valid SentencePiece model: {}", status.error_message());
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {  // from the tables that the library builds
      bad_input("not a valid SentencePiece model: {}", error.what());
    }
  }

  void add_token(const SentencePieceModel::Piece& piece, std::int64_t id,
                 AddedTokens& added) const {
    if (piece.kind != Kind::control && piece.kind != Kind::user_defined) return;
    added.add({.content = piece.text, .normalized = false, .special = piece.kind == Kind::control},
              vocabulary_, id);
  }

  // Roles that no file names are those of the model; without a family, the Llama tokenizer's rules
  // hold.
  void complete(TokenizerSettings& settings) const {
    const auto fill = [&](std::optional<AddedToken>& role, int id) {
      const std::string* piece = vocabulary_.token(id);
      // A family's default that this model lacks would grow the vocabulary by one.
      const bool known = role && vocabulary_.id(role->content).has_value();
      if (piece != nullptr && (!role || (!known && !settings.has_config))) {
        role = AddedToken{.content = *piece, .normalized = false, .special = true};
      }
    };
    fill(settings.bos, processor_.bos_id());
    fill(settings.eos, processor_.eos_id());
    fill(settings.unk, processor_.unk_id());
    if (settings.pad || processor_.pad_id() >= 0) fill(settings.pad, processor_.pad_id());
    if (!settings.frames_by_flags) {
      settings.frames_by_flags = true;
      settings.add_bos = settings.add_bos || !settings.has_config || settings.family.empty();
    }
  }

  bool legacy_;
  bool prefixes_;
  sentencepiece::SentencePieceProcessor processor_;
  Vocabulary vocabulary_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const std::string& bytes,
                                                        TokenizerSettings settings) {
  return std::make_unique<SentencePieceTokenizer>(bytes, std::move(settings));
}

}  // namespace tenon::text
