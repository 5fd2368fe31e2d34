#include "serving/text_answer.h"

#include <mutex>

#include "base/log.h"
#include "serving/status.h"
#include "serving/trace_request.h"

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

/// What the parts of one answer share. They may be told from several threads.
struct TextAnswer::Parts {
  std::mutex mutex;
  std::shared_ptr<TextAnswer> answer;
  std::vector<RequestId> ids;
  std::size_t open = 0;
  bool failed = false;
  TextUsage usage;
};

/// One prompt of an answer: its sequences begin at `first` of those of the whole.
class TextAnswer::Part final : public TextSink {
 public:
  Part(std::shared_ptr<Parts> parts, int first) : parts_(std::move(parts)), first_(first) {}
  void token(const pipelines::TokenEvent& event) override {
    const std::lock_guard lock(parts_->mutex);
    if (parts_->failed) return;
    pipelines::TokenEvent moved = event;
    moved.sequence += first_;
    parts_->answer->token(moved);
  }
  void finished(const TextUsage& usage) override {
    const std::lock_guard lock(parts_->mutex);
    parts_->usage.prompt_tokens += usage.prompt_tokens;
    parts_->usage.cached_tokens += usage.cached_tokens;
    parts_->usage.generated_tokens += usage.generated_tokens;
    if (--parts_->open == 0 && !parts_->failed) parts_->answer->finished(parts_->usage);
  }
  void failed(const Error& error) override {
    const std::lock_guard lock(parts_->mutex);
    if (std::exchange(parts_->failed, true)) return;
    for (const RequestId id : parts_->ids) parts_->answer->service().cancel(id);
    parts_->answer->failed(error);
  }
  bool full() const override { return parts_->answer->full(); }

 private:
  std::shared_ptr<Parts> parts_;
  int first_;
};

void TextAnswer::run_all(std::vector<TextRequest> requests) {
  if (requests.size() == 1) return run(std::move(requests.front()));
  held_.stats->begin();
  counted_ = false;
  const auto parts = std::make_shared<Parts>();
  parts->answer = shared_from_this();
  parts->open = requests.size();
  std::vector<RequestId> ids;
  {
    // Nothing is told before all are accepted.
    const std::lock_guard lock(parts->mutex);
    int first = 0;
    try {
      for (TextRequest& request : requests) {
        request.client = peer_->client();
        const auto sequences = static_cast<int>(request.config.num_return_sequences);
        parts->ids.push_back(
            service().submit(std::move(request), std::make_shared<Part>(parts, first)));
        first += sequences;
      }
    } catch (const std::exception& error) {
      parts->failed = true;
      for (const RequestId id : parts->ids) service().cancel(id);
      count(status_of(error).outcome);
      throw;
    }
    ids = parts->ids;
  }
  peer_->on_gone([model = held_.model, ids] {
    for (const RequestId id : ids) model->text()->cancel(id);
  });
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
  usage_ = usage;
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
  trace_request(*peer_, model().info(), outcome, begin_, phases, first_, usage_);
}

}  // namespace tenon::serving
