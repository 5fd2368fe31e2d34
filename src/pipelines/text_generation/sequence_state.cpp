// One sequence while it grows.
#include "pipelines/text_generation/sequence_state.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

bool holds(const std::vector<std::int32_t>& ids, std::int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

const char* finish_reason_name(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::eos:
      return "eos";
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::cancelled:
      return "cancelled";
    case FinishReason::none:
      break;
  }
  return "none";
}

SequenceState::SequenceState(std::span<const std::int32_t> prompt, const GenerationConfig& config,
                             std::unique_ptr<TextStream> text)
    : ids_(prompt.begin(), prompt.end()),
      prompt_length_(static_cast<std::int64_t>(prompt.size())),
      stream_(std::move(text)),
      matcher_(config.stop_strings) {
  if (config.constraint != nullptr) constraint_.emplace(*config.constraint);
}

SequenceState::SequenceState(const SequenceState& other)
    : logprobs(other.logprobs),
      ids_(other.ids_),
      prompt_length_(other.prompt_length_),
      stream_(other.stream_ == nullptr ? nullptr : other.stream_->clone()),
      constraint_(other.constraint_),
      matcher_(other.matcher_),
      text_(other.text_),
      reason_(other.reason_) {}

SequenceState& SequenceState::operator=(const SequenceState& other) {
  return *this = SequenceState(other);
}

std::string SequenceState::append(std::int32_t id, const GenerationConfig& config,
                                  std::int64_t max_length) {
  ids_.push_back(id);
  if (holds(config.eos_token_ids, id)) return finish(FinishReason::eos);
  if (holds(config.stop_token_ids, id)) return finish(FinishReason::stop);
  std::string settled;
  if (stream_ != nullptr) settled = matcher_.push(stream_->append(id));
  text_ += settled;
  if (matcher_.matched()) {
    reason_ = FinishReason::stop;
  } else if (constraint_ && constraint_->accept(id) && constraint_->is_finished()) {
    settled += finish(FinishReason::stop);
  } else if (length() >= max_length) {
    settled += finish(FinishReason::length);
  }
  return settled;
}

std::string SequenceState::finish(FinishReason reason) {
  reason_ = reason;
  if (stream_ == nullptr || matcher_.matched()) return {};
  std::string rest = matcher_.push(stream_->finish());
  // The last incomplete character may have completed a stop string.
  if (matcher_.matched()) {
    reason_ = FinishReason::stop;
  } else {
    rest += matcher_.finish();
  }
  text_ += rest;
  return rest;
}

void check_logits(std::span<const float> logits, std::int64_t position) {
  const auto is_nan = [](float value) { return std::isnan(value); };
  // Counting does not stop early, so that several are compared at a time.
  if (std::count_if(logits.begin(), logits.end(), is_nan) > 0) {
    const auto bad = std::find_if(logits.begin(), logits.end(), is_nan);
    throw Error(ErrorCode::check_failed,
                fmt::format("the model's scores for token {} hold NaN (first for id {}), numbers "
                            "were expected",
                            position, bad - logits.begin()))
        .hint("build with a wider type (--precision fp32); a half type may have overflowed");
  }
  const auto possible = [](float value) { return value > -std::numeric_limits<float>::infinity(); };
  if (std::none_of(logits.begin(), logits.end(), possible)) {
    fail(ErrorCode::check_failed,
         "no token can be chosen at position {}: all of them are banned or have the score "
         "-infinity",
         position);
  }
}

}  // namespace tenon::pipelines
