// The engine's paged cache as the Decoder that generation runs on, and its tokenizer as the text
// stream.
#pragma once

#include <memory>
#include <vector>

#include "pipelines/text_generation/decoder.h"
#include "pipelines/text_generation/stop_matcher.h"
#include "session/decoder_session.h"
#include "text/streaming.h"

namespace tenon::pipelines {

/// Borrows the session. Prompts longer than `chunk` tokens go through in pieces, so that the
/// activations of a long prompt stay small.
class SessionDecoder final : public Decoder {
 public:
  explicit SessionDecoder(session::DecoderSession& session, std::int64_t chunk = 512)
      : session_(session), chunk_(chunk) {}

  int vocabulary() const override { return static_cast<int>(session_.vocabulary()); }
  int context_length() const override;
  Sequence create() override { return session_.create(); }
  Sequence fork(Sequence parent) override { return session_.fork(parent); }
  void release(Sequence sequence) override { session_.release(sequence); }
  void forward(std::span<const Input> inputs, std::span<float> logits) override;

 private:
  session::DecoderSession& session_;
  std::int64_t chunk_;
};

/// Borrows the tokenizer.
class TokenizerStream final : public TextStream {
 public:
  explicit TokenizerStream(const text::Tokenizer& tokenizer)
      : tokenizer_(tokenizer), decoder_(tokenizer) {}
  std::string append(std::int32_t id) override;
  std::string finish() override { return decoder_.finish(); }
  std::unique_ptr<TextStream> clone() const override;

 private:
  const text::Tokenizer& tokenizer_;
  text::StreamingDecoder decoder_;
  std::vector<std::int32_t> ids_;  // to bring a clone to the same place
};

}  // namespace tenon::pipelines
