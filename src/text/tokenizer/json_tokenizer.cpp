// Assembly of a tokenizer from the sections of tokenizer.json.
#include "text/tokenizer/json_tokenizer.h"

#include <utility>

#include "base/error.h"
#include "text/tokenizer/bpe.h"
#include "text/tokenizer/json_parts.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/table_tokenizer.h"

namespace tenon::text {
namespace {

const Json kNull = nullptr;

const Json& section(const Json& json, const char* key) {
  const Json* field = find_field(json, key);
  return field == nullptr ? kNull : *field;
}

const Json& model_section(const Json& json) {
  const Json& model = section(json, "model");
  if (!model.is_object()) bad_input("section \"model\" is missing");
  // Old files name no type; only BPE has merges.
  const bool old = find_field(model, "type") == nullptr && find_field(model, "merges") != nullptr;
  const std::string type = old ? "BPE" : type_field(model, "model");
  if (type != "BPE") {
    throw Error(ErrorCode::bad_input,
                fmt::format("model \"{}\" is not supported, known is BPE", type))
        .hint("a SentencePiece unigram model is read from tokenizer.model when that stands alone");
  }
  return model;
}

class JsonTokenizer : public TableTokenizer {
 public:
  JsonTokenizer(const Json& json, const TokenizerSettings& settings)
      : model_(with_context("model", [&]() -> const Json& { return model_section(json); })) {
    with_context("normalizer", [&] { normalizer_ = make_normalizer(section(json, "normalizer")); });
    with_context("pre_tokenizer", [&] {
      const bool prefix = settings.add_prefix_space.value_or(false);
      pre_tokenizer_ = make_pre_tokenizer(section(json, "pre_tokenizer"),
                                          settings.has_config ? &prefix : nullptr);
    });
    Parts parts;
    with_context("post_processor",
                 [&] { parts.frame = read_post_processor(section(json, "post_processor")); });
    with_context("decoder", [&] {
      parts.decoder = DecoderChain(section(json, "decoder"));
      if (settings.family == "CLIPTokenizer") parts.decoder.add_text_replacement("</w>", " ");
    });
    with_context("added_tokens", [&] { read_added(section(json, "added_tokens"), parts.added); });
    set_up(std::move(parts), settings);
    if (!roles_.unk && model_.unknown_token()) roles_.unk = token_id(*model_.unknown_token());
  }

 protected:
  const Vocabulary& vocabulary() const override { return model_.vocabulary(); }
  void normalize(std::string& text) const override {
    if (normalizer_ != nullptr) normalizer_->apply(text);
  }
  void encode_plain(std::string text, bool at_start,
                    std::vector<std::int32_t>& ids) const override {
    Pieces pieces;
    pieces.pieces.push_back({0, text.size(), at_start});
    pieces.text = std::move(text);
    if (pre_tokenizer_ != nullptr) pre_tokenizer_->apply(pieces);
    for (const Piece& piece : pieces.pieces) model_.encode(pieces.view(piece), ids);
  }

 private:
  void read_added(const Json& tokens, AddedTokens& added) const {
    if (tokens.is_null()) return;
    if (!tokens.is_array()) bad_input("an array was expected");
    for (const Json& token : tokens) {
      added.add(added_token(token), model_.vocabulary(),
                get_int(token, "id", 0, Vocabulary::kMaxId));
    }
  }

  BpeModel model_;
  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_json_tokenizer(const Json& json,
                                               const TokenizerSettings& settings) {
  if (!json.is_object()) bad_input("an object was expected");
  return std::make_unique<JsonTokenizer>(json, settings);
}

}  // namespace tenon::text
