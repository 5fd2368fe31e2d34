// The "decoder" section of tokenizer.json as a chain of steps that tokens flow through one by one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace tenon::text {

/// Receives tokens (or, behind a step that joins them, parts of one) and hands on what is certain.
class DecodeStep {
 public:
  explicit DecodeStep(DecodeStep* next) : next_(next) {}
  virtual ~DecodeStep() = default;
  virtual void push(std::string_view token) = 0;
  /// Hands on the rest; the caller then finishes the next step.
  virtual void finish() {}

 protected:
  void emit(std::string_view token) { next_->push(token); }

 private:
  DecodeStep* next_;
};

/// What a decoding is built from: immutable, shared by all decodings of a tokenizer.
class DecoderChain {
 public:
  using Factory = std::function<std::unique_ptr<DecodeStep>(DecodeStep* next)>;

  DecoderChain() = default;
  /// Null joins the tokens with spaces. Error(bad_input) names an unknown type.
  explicit DecoderChain(const Json& json);
  /// Adds the removal of spaces before punctuation, `clean_up_tokenization_spaces`.
  void add_clean_up();
  /// Adds a replacement in the text as a whole.
  void add_text_replacement(std::string pattern, std::string content);
  const std::vector<Factory>& factories() const { return factories_; }

 private:
  void add(const Json& json);
  void add_step(Factory factory, bool streams_fused);

  std::vector<Factory> factories_;
  bool fused_ = false;  // what comes next sees one token, in parts
};

}  // namespace tenon::text
