// Encoding around added tokens, and decodings built from the chain of a tokenizer.
#include "text/tokenizer/table_tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text {
namespace {

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
    text.replace(at, what.size(), by);
    at += by.size();
  }
}

class OutputStep : public DecodeStep {
 public:
  OutputStep() : DecodeStep(nullptr) {}
  void push(std::string_view text) override { *out += text; }
  std::string* out = nullptr;
};

class ChainDecoding : public Decoding {
 public:
  ChainDecoding(const TableTokenizer& tokenizer, const DecoderChain& chain, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {
    DecodeStep* next = &output_;
    for (auto factory = chain.factories().rbegin(); factory != chain.factories().rend();
         ++factory) {
      steps_.push_back((*factory)(next));
      next = steps_.back().get();
    }
    first_ = next;
  }
  void push(std::int32_t id, std::string& out) override {
    const std::string* token = tokenizer_.find_token(id);
    if (token == nullptr || (skip_special_ && tokenizer_.is_special(id))) return;
    output_.out = &out;
    first_->push(*token);
  }
  void finish(std::string& out) override {
    output_.out = &out;
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) (*step)->finish();
  }

 private:
  const TableTokenizer& tokenizer_;
  bool skip_special_;
  OutputStep output_;
  std::vector<std::unique_ptr<DecodeStep>> steps_;  // the last one first
  DecodeStep* first_;
};

}  // namespace

void TableTokenizer::set_up(Parts parts, const TokenizerSettings& settings) {
  parts_ = std::move(parts);
  for (const auto& [id, token] : settings.added) parts_.added.add(token, vocabulary(), id);
  const auto add_special = [&](const AddedToken& token) {
    if (!parts_.added.id(token.content)) parts_.added.add(token, vocabulary(), std::nullopt);
  };
  for (const auto* role : {&settings.bos, &settings.eos, &settings.unk, &settings.pad}) {
    if (*role) add_special(**role);
  }
  for (const AddedToken& token : settings.more_special) add_special(token);

  for (const auto& [id, token] : parts_.added.by_id()) {
    if (!token.normalized) {
      in_text_.add(token.content, id, token);
      continue;
    }
    std::string name = replace_invalid_utf8(token.content);
    normalize(name);
    in_normalized_.add(name, id, token);
  }
  const auto role = [&](const std::optional<AddedToken>& token, std::optional<std::int32_t>& id) {
    if (token) id = token_id(token->content);
  };
  role(settings.bos, roles_.bos);
  role(settings.eos, roles_.eos);
  role(settings.unk, roles_.unk);
  role(settings.pad, roles_.pad);
  if (settings.frames_by_flags) {
    parts_.frame = {};
    if (settings.add_bos && roles_.bos) parts_.frame.before.push_back(*roles_.bos);
    if (settings.add_eos && roles_.eos) parts_.frame.behind.push_back(*roles_.eos);
  }
  for (const auto* ids : {&parts_.frame.before, &parts_.frame.behind}) {
    for (const std::int32_t id : *ids) {
      if (find_token(id) == nullptr) bad_input("post_processor: id {} names no token", id);
    }
  }
  if (settings.clean_up_spaces) parts_.decoder.add_clean_up();
}

std::vector<std::int32_t> TableTokenizer::encode(std::string_view text,
                                                 const EncodeOptions& options) const {
  std::string valid;
  if (!is_valid_utf8(text)) {
    valid = replace_invalid_utf8(text);
    text = valid;
  }
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (options.add_special_tokens) ids = parts_.frame.before;
  for (const TextPart& part : in_text_.split(text, options.parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    const Span& span = part.span;
    encode_part(std::string(text.substr(span.begin, span.end - span.begin)), span.begin == 0,
                options, ids);
  }
  if (options.add_special_tokens) {
    ids.insert(ids.end(), parts_.frame.behind.begin(), parts_.frame.behind.end());
  }
  return ids;
}

void TableTokenizer::encode_part(std::string text, bool at_start, const EncodeOptions& options,
                                 std::vector<std::int32_t>& ids) const {
  const auto plain = [&](std::string part, bool starts) {
    if (options.guarded) replace_all(part, kGuard, "");
    if (!part.empty()) encode_plain(std::move(part), starts, ids);
  };
  normalize(text);
  if (in_normalized_.empty()) return plain(std::move(text), at_start);
  for (const TextPart& part : in_normalized_.split(text, options.parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      plain(text.substr(part.span.begin, part.span.end - part.span.begin),
            at_start && part.span.begin == 0);
    }
  }
}

std::string TableTokenizer::guard(std::string_view text) const {
  std::string valid = replace_invalid_utf8(text);
  replace_all(valid, kGuard, "\xEF\xBF\xBD");
  std::string guarded;
  std::size_t done = 0;
  for (const std::size_t place : in_text_.find_special(valid)) {
    guarded.append(valid, done, place - done).append(kGuard);
    done = place;
  }
  guarded.append(valid, done, std::string::npos);
  if (in_normalized_.empty()) return guarded;
  // Places behind a normalizer have none in the text: then no two characters stay together.
  std::string normal = valid;
  normalize(normal);
  if (in_normalized_.find_special(normal).empty()) return guarded;
  guarded.clear();
  for (std::size_t at = 0; at < valid.size();) {
    const std::size_t begin = at;
    next_point(valid, at);
    guarded.append(kGuard).append(valid, begin, at - begin);
  }
  return guarded;
}

std::unique_ptr<Decoding> TableTokenizer::start_decoding(bool skip_special) const {
  return std::make_unique<ChainDecoding>(*this, parts_.decoder, skip_special);
}

std::int32_t TableTokenizer::vocabulary_size() const {
  return std::max(vocabulary().bound(), parts_.added.bound());
}

std::optional<std::int32_t> TableTokenizer::token_id(std::string_view token) const {
  const auto added = parts_.added.id(token);
  return added ? added : vocabulary().id(token);
}

const std::string* TableTokenizer::find_token(std::int32_t id) const {
  const auto added = parts_.added.by_id().find(id);
  if (added != parts_.added.by_id().end()) return &added->second.content;
  return vocabulary().token(id);
}

std::string TableTokenizer::token(std::int32_t id) const {
  const std::string* found = find_token(id);
  if (found == nullptr) {
    bad_input("token id {} names no token, ids run from 0 to {}", id, vocabulary_size() - 1);
  }
  return *found;
}

bool TableTokenizer::is_special(std::int32_t id) const {
  const auto added = parts_.added.by_id().find(id);
  return added != parts_.added.by_id().end() && added->second.special;
}

}  // namespace tenon::text
