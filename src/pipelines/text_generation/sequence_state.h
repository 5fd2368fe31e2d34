// One sequence while it grows: its tokens, its text, and whether and why it has ended.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipelines/text_generation/config.h"
#include "pipelines/text_generation/processors.h"
#include "pipelines/text_generation/sampler.h"
#include "pipelines/text_generation/stop_matcher.h"

namespace tenon::pipelines {

enum class FinishReason { none, eos, stop, length, cancelled };
/// "eos", "stop", "length", "cancelled"
const char* finish_reason_name(FinishReason reason) noexcept;

/// A value: copies grow apart (beams).
class SequenceState {
 public:
  SequenceState() = default;
  /// `text` may be null: then there is no text, and stop strings are not looked for.
  SequenceState(std::span<const std::int32_t> prompt, const GenerationConfig& config,
                std::unique_ptr<TextStream> text);
  SequenceState(const SequenceState& other);
  SequenceState(SequenceState&&) = default;
  SequenceState& operator=(const SequenceState& other);
  SequenceState& operator=(SequenceState&&) = default;

  /// Appends a token and decides whether the sequence has ended. Returns the text that it settled.
  std::string append(std::int32_t id, const GenerationConfig& config, std::int64_t max_length);
  /// Ends a sequence from outside; returns the text that was held back.
  std::string finish(FinishReason reason);

  bool finished() const { return reason_ != FinishReason::none; }
  FinishReason reason() const { return reason_; }
  std::int64_t length() const { return static_cast<std::int64_t>(ids_.size()); }
  /// Prompt, then generated.
  std::span<const std::int32_t> ids() const { return ids_; }
  std::int32_t last() const { return ids_.back(); }
  History history(std::int64_t max_length) const {
    return {ids_, prompt_length_, max_length, constraint_ ? &*constraint_ : nullptr};
  }
  std::vector<std::int32_t> generated() const {
    return {ids_.begin() + static_cast<std::ptrdiff_t>(prompt_length_), ids_.end()};
  }
  /// Up to the stop string, if one was met.
  const std::string& text() const { return text_; }

  std::vector<TokenLogprobs> logprobs;  ///< one a generated token, when asked for

 private:
  std::vector<std::int32_t> ids_;
  std::int64_t prompt_length_ = 0;
  std::unique_ptr<TextStream> stream_;
  std::optional<text::grammar::Matcher> constraint_;
  StopMatcher matcher_;
  std::string text_;
  FinishReason reason_ = FinishReason::none;
};

/// Error(check_failed) when a row of logits has NaN, or nothing that can be chosen.
void check_logits(std::span<const float> logits, std::int64_t position);

}  // namespace tenon::pipelines
