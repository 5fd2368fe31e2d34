// One request while it is computed.
#include "serving/batching/live_request.h"

#include "base/log.h"
#include "pipelines/text_generation/sequence_steps.h"

namespace tenon::serving {
namespace {

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

LiveRequest::LiveRequest(RequestId id, TextRequest request, std::shared_ptr<TextSink> sink,
                         std::int64_t vocabulary, std::int64_t context,
                         const pipelines::TextStream* text)
    : id_(id),
      request_(std::move(request)),
      sink_(std::move(sink)),
      numbers_(pipelines::choose_seed(request_.config)),
      arrival_(Clock::now()) {
  const pipelines::GenerationConfig& config = request_.config;
  config.validate(vocabulary);
  if (config.num_beams > 1) {
    tenon::fail(ErrorCode::usage,
                "num_beams is {}: beams are not served with others, 1 was expected",
                config.num_beams);
  }
  pipelines::check_prompt(request_.prompt, vocabulary, context);
  if (!config.stop_strings.empty() && text == nullptr)
    tenon::fail(ErrorCode::usage, "stop strings need a tokenizer, and the model has none");
  if (sink_ == nullptr) tenon::fail(ErrorCode::internal, "a request without a sink");
  max_length_ = pipelines::length_limit(config, prompt_tokens(), context);
  open_ = static_cast<std::size_t>(config.num_return_sequences);
  for (std::size_t i = 0; i < open_; ++i) {
    sequences_.push_back(
        {{request_.prompt, config, text == nullptr ? nullptr : text->clone()}, {}});
  }
  usage_.prompt_tokens = prompt_tokens();
}

std::span<const std::int32_t> LiveRequest::ids(std::size_t sequence) const {
  return sequences_[sequence].state.ids();
}

bool LiveRequest::is_full() const { return !is_broken_ && sink_->full(); }

template <typename Call>
void LiveRequest::tell(const Call& call) {
  if (is_broken_) return;
  try {
    call(*sink_);
  } catch (const std::exception& error) {
    log::warn("request {}: its receiver failed: {}", id_, error.what());
    is_broken_ = true;
  }
}

void LiveRequest::started(std::int64_t prefix_tokens, TextMetrics& metrics) {
  if (is_started_) return;
  is_started_ = true;
  usage_.cached_tokens = prefix_tokens;
  metrics.cached_tokens += static_cast<std::uint64_t>(prefix_tokens);
  metrics.queue.add(seconds(Clock::now() - arrival_));
}

void LiveRequest::expire() {
  const DeadlineExceeded error(fmt::format(
      "the time of the request was over after {:.3f} s, before the model had come to it",
      seconds(Clock::now() - arrival_)));
  tell([&](TextSink& sink) { sink.failed(error); });
}

bool LiveRequest::choose(std::size_t sequence, std::span<float> scores, TextMetrics& metrics) {
  Sequence& chosen = sequences_[sequence];
  const pipelines::TokenEvent event = pipelines::next_token(
      request_.config, max_length_, numbers_, static_cast<int>(sequence), scores, chosen.state);
  const auto now = Clock::now();
  if (usage_.generated_tokens == 0) metrics.first_token.add(seconds(now - arrival_));
  if (chosen.last_token != Clock::time_point())
    metrics.next_token.add(seconds(now - chosen.last_token));
  chosen.last_token = now;
  ++usage_.generated_tokens;
  ++metrics.generated_tokens;
  const bool ended = chosen.state.finished();
  if (ended) --open_;
  tell([&](TextSink& sink) { sink.token(event); });
  return !ended;
}

void LiveRequest::finish(TextMetrics& metrics) {
  ++metrics.finished;
  metrics.whole.add(seconds(Clock::now() - arrival_));
  tell([&](TextSink& sink) { sink.finished(usage_); });
}

void LiveRequest::cancel(TextMetrics& metrics) {
  ++metrics.cancelled;
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    pipelines::SequenceState& state = sequences_[i].state;
    if (state.finished()) continue;
    pipelines::TokenEvent event;
    event.sequence = static_cast<int>(i);
    event.id = -1;
    event.text = state.finish(pipelines::FinishReason::cancelled);
    event.finish_reason = pipelines::finish_reason_name(pipelines::FinishReason::cancelled);
    tell([&](TextSink& sink) { sink.token(event); });
  }
  tell([&](TextSink& sink) { sink.finished(usage_); });
}

void LiveRequest::fail(const Error& error, TextMetrics& metrics) {
  ++metrics.failed;
  tell([&](TextSink& sink) { sink.failed(error); });
}

}  // namespace tenon::serving
