// The steps of decoders, each written so that it works on tokens as they come.
#include "text/tokenizer/decoder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/json_parts.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text {
namespace {

// Bytes of the byte-level alphabet, joined and read as UTF-8.
class ByteLevelStep : public DecodeStep {
 public:
  using DecodeStep::DecodeStep;
  void push(std::string_view token) override {
    const auto bytes = from_byte_level(token);
    pending_ += bytes ? std::string_view(*bytes) : token;
    std::string out;
    drain_utf8(pending_, out);
    if (!out.empty()) emit(out);
  }
  void finish() override {
    if (!pending_.empty()) emit(kReplacement);
    pending_.clear();
  }

 private:
  std::string pending_;
};

// A run of byte tokens is text if it is UTF-8 as a whole, else one U+FFFD for each byte.
class ByteFallbackStep : public DecodeStep {
 public:
  using DecodeStep::DecodeStep;
  void push(std::string_view token) override {
    if (const auto byte = parse_byte_token(token)) {
      run_.push_back(static_cast<char>(*byte));
      return;
    }
    finish();
    emit(token);
  }
  void finish() override {
    if (run_.empty()) return;
    const std::string run = std::exchange(run_, {});
    if (is_valid_utf8(run)) {
      emit(run);
    } else {
      for (std::size_t i = 0; i < run.size(); ++i) emit(kReplacement);
    }
  }

 private:
  std::string run_;
};

class ReplaceStep : public DecodeStep {
 public:
  ReplaceStep(DecodeStep* next, std::shared_ptr<const Pattern> pattern, std::string content)
      : DecodeStep(next), pattern_(std::move(pattern)), content_(std::move(content)) {}
  void push(std::string_view token) override { emit(pattern_->replace_all(token, content_)); }

 private:
  std::shared_ptr<const Pattern> pattern_;
  std::string content_;
};

// A literal replaced in one text that comes in parts: its possible beginning at the end waits.
class TextReplaceStep : public DecodeStep {
 public:
  TextReplaceStep(DecodeStep* next, std::string pattern, std::string content)
      : DecodeStep(next), pattern_(std::move(pattern)), content_(std::move(content)) {}
  void push(std::string_view part) override {
    held_ += part;
    std::string out;
    std::size_t copied = 0;
    for (std::size_t at = held_.find(pattern_); at != std::string::npos;
         at = held_.find(pattern_, copied)) {
      out.append(held_, copied, at - copied);
      out += content_;
      copied = at + pattern_.size();
    }
    std::size_t waiting = std::min(pattern_.size() - 1, held_.size() - copied);
    while (!std::string_view(pattern_).starts_with(
        std::string_view(held_).substr(held_.size() - waiting))) {
      --waiting;
    }
    out.append(held_, copied, held_.size() - waiting - copied);
    held_.erase(0, held_.size() - waiting);
    if (!out.empty()) emit(out);
  }
  void finish() override {
    if (!held_.empty()) emit(std::exchange(held_, {}));
  }

 private:
  std::string pattern_;
  std::string content_;
  std::string held_;
};

struct Strip {
  std::string content;  // one character
  std::size_t start;
  std::size_t stop;
};

class StripStep : public DecodeStep {
 public:
  StripStep(DecodeStep* next, Strip strip) : DecodeStep(next), strip_(std::move(strip)) {}
  void push(std::string_view token) override {
    for (std::size_t i = 0; i < strip_.start && token.starts_with(strip_.content); ++i) {
      token.remove_prefix(strip_.content.size());
    }
    for (std::size_t i = 0; i < strip_.stop && token.ends_with(strip_.content); ++i) {
      token.remove_suffix(strip_.content.size());
    }
    emit(token);
  }

 private:
  Strip strip_;
};

// The same for one text in parts.
class TextStripStep : public DecodeStep {
 public:
  TextStripStep(DecodeStep* next, Strip strip)
      : DecodeStep(next), strip_(std::move(strip)), left_(strip_.start) {}
  void push(std::string_view part) override {
    while (left_ > 0 && !part.empty()) {
      if (!part.starts_with(strip_.content)) {
        left_ = 0;
        break;
      }
      part.remove_prefix(strip_.content.size());
      --left_;
    }
    held_ += part;
    std::size_t end = held_.size();
    for (std::size_t i = 0; i < strip_.stop; ++i) {
      if (!std::string_view(held_).substr(0, end).ends_with(strip_.content)) break;
      end -= strip_.content.size();
    }
    if (end > 0) emit(held_.substr(0, end));
    held_.erase(0, end);
  }

 private:
  Strip strip_;
  std::size_t left_;  // characters that may still go at the front
  std::string held_;  // characters that go if the text ends here
};

class MetaspaceStep : public DecodeStep {
 public:
  MetaspaceStep(DecodeStep* next, std::shared_ptr<const Pattern> mark, bool prepends)
      : DecodeStep(next), mark_(std::move(mark)), at_first_(prepends) {}
  void push(std::string_view token) override {
    emit(mark_->replace_all(token, std::exchange(at_first_, false) ? "" : " "));
  }

 private:
  std::shared_ptr<const Pattern> mark_;
  bool at_first_;  // the next token is the first, and its marks stand for no space
};

// Joins tokens with spaces: what happens where no decoder is named.
class JoinStep : public DecodeStep {
 public:
  using DecodeStep::DecodeStep;
  void push(std::string_view token) override {
    if (!std::exchange(first_, false)) emit(" ");
    emit(token);
  }

 private:
  bool first_ = true;
};

// Gathers a whole text for a step that cannot work on parts of one.
class GatherStep : public DecodeStep {
 public:
  using DecodeStep::DecodeStep;
  void push(std::string_view part) override { all_ += part; }
  void finish() override { emit(std::exchange(all_, {})); }

 private:
  std::string all_;
};

template <typename Step>
DecoderChain::Factory plain() {
  return [](DecodeStep* next) { return std::make_unique<Step>(next); };
}

DecoderChain::Factory metaspace(const Json& json) {
  const std::string mark = required_string(json, "replacement");
  if (mark.empty()) bad_input("\"replacement\" of Metaspace is empty");
  const bool add = get_bool(json, "add_prefix_space", true);
  const bool prepends = get_string(json, "prepend_scheme", add ? "always" : "never") != "never";
  auto pattern = std::make_shared<const Pattern>(Pattern::literal(mark));
  return [pattern, prepends](DecodeStep* next) {
    return std::make_unique<MetaspaceStep>(next, pattern, prepends);
  };
}

DecoderChain::Factory strip(const Json& json, bool fused) {
  constexpr std::int64_t kMost = 1 << 20;
  const Strip values{required_string(json, "content"),
                     static_cast<std::size_t>(get_int(json, "start", 0, kMost, 0)),
                     static_cast<std::size_t>(get_int(json, "stop", 0, kMost, 0))};
  if (values.content.empty()) bad_input("\"content\" of Strip is empty, a character was expected");
  return [values, fused](DecodeStep* next) -> std::unique_ptr<DecodeStep> {
    if (fused) return std::make_unique<TextStripStep>(next, values);
    return std::make_unique<StripStep>(next, values);
  };
}

}  // namespace

void DecoderChain::add_step(Factory factory, bool streams_fused) {
  if (fused_ && !streams_fused) factories_.push_back(plain<GatherStep>());
  factories_.push_back(std::move(factory));
}

void DecoderChain::add_text_replacement(std::string pattern, std::string content) {
  if (pattern.empty()) return;
  factories_.push_back(
      [pattern = std::move(pattern), content = std::move(content)](DecodeStep* next) {
        return std::make_unique<TextReplaceStep>(next, pattern, content);
      });
}

void DecoderChain::add(const Json& json) {
  const std::string type = type_field(json, "decoder");
  if (type == "Sequence") {
    for (const Json& part : array_field(json, "decoders")) add(part);
  } else if (type == "ByteLevel") {
    add_step(plain<ByteLevelStep>(), false);
    fused_ = true;
  } else if (type == "ByteFallback") {
    add_step(plain<ByteFallbackStep>(), false);
  } else if (type == "Fuse") {
    fused_ = true;
  } else if (type == "Strip") {
    add_step(strip(json, fused_), true);
  } else if (type == "Metaspace") {
    add_step(metaspace(json), false);
  } else if (type == "Replace") {
    const Json* pattern = find_field(json, "pattern");
    const bool literal = pattern != nullptr && find_field(*pattern, "String") != nullptr;
    std::string content = required_string(json, "content");
    if (fused_ && literal) {
      add_text_replacement(required_string(*pattern, "String"), std::move(content));
      return;
    }
    auto compiled = std::make_shared<const Pattern>(pattern_field(json));
    add_step(
        [compiled, content](DecodeStep* next) {
          return std::make_unique<ReplaceStep>(next, compiled, content);
        },
        false);
  } else {
    bad_input(
        "decoder \"{}\" is not supported; known are Sequence, ByteLevel, ByteFallback, Fuse, "
        "Strip, Metaspace, Replace",
        type);
  }
}

DecoderChain::DecoderChain(const Json& json) {
  if (json.is_null()) {
    add_step(plain<JoinStep>(), false);
  } else {
    add(json);
  }
  fused_ = true;  // the steps added later see the text
}

void DecoderChain::add_clean_up() {
  static constexpr std::array<std::array<std::string_view, 2>, 10> kRules = {{{" .", "."},
                                                                              {" ?", "?"},
                                                                              {" !", "!"},
                                                                              {" ,", ","},
                                                                              {" ' ", "'"},
                                                                              {" n't", "n't"},
                                                                              {" 'm", "'m"},
                                                                              {" 's", "'s"},
                                                                              {" 've", "'ve"},
                                                                              {" 're", "'re"}}};
  for (const auto& rule : kRules) {
    add_text_replacement(std::string(rule[0]), std::string(rule[1]));
  }
}

}  // namespace tenon::text
