// What serves text to any number of clients at once, and what it tells them: nothing of a protocol
// is in it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipelines/text_generation/config.h"
#include "pipelines/text_generation/generate.h"
#include "pipelines/text_generation/sequence_state.h"

namespace tenon::serving {

using Clock = std::chrono::steady_clock;
using RequestId = std::uint64_t;

struct TextRequest {
  std::vector<std::int32_t> prompt;
  /// num_return_sequences answers are drawn; beams are refused.
  pipelines::GenerationConfig config;
  int priority = 0;  ///< higher goes first, -100 to 100
  /// The whole answer must be there by then.
  std::optional<Clock::time_point> deadline;
  /// Longest wait for the first step; not given: what the service has for all.
  std::optional<std::chrono::milliseconds> queue_timeout;
  std::string client;  ///< clients of equal priority get equal shares
};

struct TextUsage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;     ///< of the prompt, found computed by earlier requests
  std::int64_t generated_tokens = 0;  ///< of all sequences
};

struct TextResult {
  std::vector<pipelines::FinishReason> reasons;  ///< one a sequence
  TextUsage usage;
  std::uint64_t seed = 0;  ///< what sampling used
};

/// No room for one more request now: HTTP 429 or 503 with Retry-After.
class Overloaded : public Error {
 public:
  Overloaded(std::string message, double retry_after_s)
      : Error(ErrorCode::resource, std::move(message)), retry_after_s_(retry_after_s) {}
  double retry_after_s() const noexcept { return retry_after_s_; }

 private:
  double retry_after_s_;
};

/// The request's time was over, in the queue or later.
class TimedOut : public Error {
 public:
  explicit TimedOut(std::string message) : Error(ErrorCode::resource, std::move(message)) {}
};

/// Gets the events of one request, all from one thread of the service, which waits for each call:
/// they must not block, and must not call the service but for `cancel` and `wake`. Lives until
/// `finished` or `failed` returns, of which exactly one is called, last.
class TextSink {
 public:
  virtual ~TextSink() = default;
  /// One token, or text that the end of a sequence settled (id -1); `finish_reason` is set on the
  /// last event of each sequence.
  virtual void token(const pipelines::TokenEvent& event) = 0;
  /// Also after a cancel: the reasons then say "cancelled".
  virtual void finished(const TextResult& result) = 0;
  virtual void failed(const Error& error) = 0;
  /// The receiver lags: while this is true no tokens are made for it. Asked before each step; call
  /// TextService::wake when it turns false.
  virtual bool full() const { return false; }
};

/// Any thread.
class TextService {
 public:
  virtual ~TextService() = default;
  /// Never waits for the answer. Throws Overloaded when the queue is full, Error(usage) for a
  /// prompt or config that the model cannot take; the sink hears nothing then.
  virtual RequestId submit(TextRequest request, TextSink& sink) = 0;
  /// Ends the request within a step; nothing happens when it has ended.
  virtual void cancel(RequestId id) = 0;
  /// A sink is no longer full.
  virtual void wake() = 0;
  /// The most tokens of a sequence, prompt and answer.
  virtual std::int64_t context_length() const = 0;
};

}  // namespace tenon::serving
