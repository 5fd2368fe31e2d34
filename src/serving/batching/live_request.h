// One request while it is computed: its sequences, its limits, its times, and the sink that hears
// of them.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "pipelines/text_generation/sampler.h"
#include "pipelines/text_generation/sequence_state.h"
#include "serving/batching/metrics.h"
#include "serving/batching/scheduler.h"
#include "serving/served_model.h"

namespace tenon::serving {

/// Made by the thread that submits, then used by the engine's alone.
class LiveRequest {
 public:
  /// `text` gives the sequences their text; may be null. Error(usage) for what the model cannot
  /// take: beams, a field out of range, a prompt that does not fit into `context` tokens.
  LiveRequest(RequestId id, TextRequest request, std::shared_ptr<TextSink> sink,
              std::int64_t vocabulary, std::int64_t context, const pipelines::TextStream* text);

  RequestId id() const { return id_; }
  const TextRequest& request() const { return request_; }
  Clock::time_point arrival() const { return arrival_; }
  std::int64_t prompt_tokens() const { return static_cast<std::int64_t>(request_.prompt.size()); }
  std::size_t sequences() const { return sequences_.size(); }
  /// Prompt and generated.
  std::span<const std::int32_t> ids(std::size_t sequence) const;
  /// The receiver lags, or fails: see TextSink::full.
  bool is_full() const;
  bool is_broken() const { return is_broken_; }
  bool is_started() const { return is_started_; }

  /// The engine takes it, or the clock of the queue ends it: true for the first who asks. Only then
  /// may the asker tell the sink anything. Any thread.
  bool claim() { return !is_claimed_.exchange(true); }
  /// By the clock, after its claim: tells the sink that the time is over.
  void expire();

  /// The first step of it, or a later one after a preemption, found so many tokens of its prompt.
  void started(std::int64_t prefix_tokens, TextMetrics& metrics);
  /// Chooses the next token from the scores, which are changed, and tells the sink. False when the
  /// sequence has ended. Error(check_failed) for NaN.
  bool choose(std::size_t sequence, std::span<float> scores, TextMetrics& metrics);
  /// Of all sequences.
  bool has_ended() const { return open_ == 0; }

  // Each tells the sink the last, so each is called once at most, in the end.
  void finish(TextMetrics& metrics);
  void cancel(TextMetrics& metrics);
  void fail(const Error& error, TextMetrics& metrics);

 private:
  struct Sequence {
    pipelines::SequenceState state;
    Clock::time_point last_token;
  };
  /// A sink that throws is told nothing more.
  template <typename Call>
  void tell(const Call& call);

  RequestId id_;
  TextRequest request_;
  std::shared_ptr<TextSink> sink_;
  std::int64_t max_length_ = 0;
  pipelines::RandomNumbers numbers_;
  std::vector<Sequence> sequences_;
  std::size_t open_ = 0;
  TextUsage usage_;
  Clock::time_point arrival_;
  bool is_started_ = false;
  std::atomic<bool> is_claimed_{false};
  std::atomic<bool> is_broken_{false};  // the clock and the engine may meet in it
};

}  // namespace tenon::serving
