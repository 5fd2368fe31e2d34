#include "serving/text_answer.h"

#include "base/log.h"
#include "serving/status.h"

namespace tenon::serving {

TextAnswer::~TextAnswer() { count(Outcome::other); }

void TextAnswer::run(TextRequest request) {
  request.client = peer_->client();
  held_.stats->begin();
  counted_ = false;
  RequestId id = 0;
  try {
    id = service().submit(std::move(request), shared_from_this());
  } catch (const std::exception& error) {
    count(status_of(error).outcome);
    throw;
  }
  peer_->on_gone([model = held_.model, id] { model->text()->cancel(id); });
}

void TextAnswer::token(const pipelines::TokenEvent& event) {
  if (!first_) first_ = Clock::now();
  if (event.sequence < 0 || static_cast<std::size_t>(event.sequence) >= sequences_.size()) return;
  Sequence& sequence = sequences_[static_cast<std::size_t>(event.sequence)];
  sequence.text += event.text;
  ++sequence.tokens;
  if (event.finish_reason != nullptr) sequence.finish_reason = event.finish_reason;
  try {
    if (event.logprobs != nullptr)
      sequence.tokens_with_logprobs.push_back({event.id, event.text, *event.logprobs});
    on_token(event);
  } catch (const std::exception& error) {  // of memory at the most; the engine must go on
    log::warn("request {}: {}", peer_->request_id(), error.what());
  }
}

void TextAnswer::finished(const TextUsage& usage) {
  count(peer_->gone() ? Outcome::cancelled : Outcome::success);
  try {
    on_finished(usage);
  } catch (const std::exception& error) {
    log::warn("request {}: {}", peer_->request_id(), error.what());
  }
}

void TextAnswer::failed(const Error& error) {
  count(peer_->gone() ? Outcome::cancelled : status_of(error).outcome);
  try {
    on_failed(error);
  } catch (const std::exception& second) {
    log::warn("request {}: {}", peer_->request_id(), second.what());
  }
}

void TextAnswer::count(Outcome outcome) {
  if (std::exchange(counted_, true)) return;
  const auto now = Clock::now();
  Phases phases;
  phases.total = now - begin_;
  phases.queue = Nanoseconds(0);
  phases.infer = phases.total;
  if (first_) phases.input = *first_ - begin_;
  held_.stats->end(outcome, phases);
}

}  // namespace tenon::serving
