// Text for many clients at once from one model: their sequences share each run of the engine.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"
#include "engine/engine.h"
#include "pipelines/text_generation/session_decoder.h"
#include "serving/batching/live_request.h"
#include "serving/batching/page_pool.h"
#include "serving/batching/queue_clock.h"
#include "serving/constraint_cache.h"
#include "serving/served_model.h"
#include "session/decoder_session.h"

namespace tenon::serving {

struct TextModel {
  std::shared_ptr<const engine::Engine> engine;
  std::shared_ptr<const text::Tokenizer> tokenizer;  ///< null: ids only, without text
  std::optional<text::ChatTemplate> chat_template;
  text::OrderedJson chat_variables;
  pipelines::GenerationConfig defaults;
};

struct TextEngineOptions {
  std::int64_t cache_tokens = 16384;  ///< of all sequences
  std::int64_t max_running = 64;      ///< sequences in one step
  std::int64_t max_waiting = 256;     ///< sequences that have not started
  std::int64_t step_tokens = 512;     ///< more makes prompts faster and tokens less even
  /// Requests that have not started by then fail, at that time, whatever a step takes; zero: they
  /// wait. The same holds for the deadline of a request that has not started; one that runs ends
  /// with the step.
  std::chrono::milliseconds queue_timeout{0};
  std::chrono::milliseconds aging{10000};  ///< see SchedulerLimits
  bool share_prefixes = true;
  /// The same answer, bit for bit, whatever else is computed beside it: see batch_invariant.h.
  bool batch_invariant = false;
  /// Held during each run, where several engines use one backend.
  std::shared_ptr<std::mutex> device;
};

/// Owns a thread, a session and its cache. The backend must outlive it, and is used by that thread
/// alone unless `options.device` is held by all who use it. An answer is that of
/// pipelines::generate with the same seed, given that the engine sums as it does there.
class TextEngine final : public TextService {
 public:
  TextEngine(TextModel model, backend::Backend& backend, const TextEngineOptions& options = {});
  /// Requests still there end with the reason "cancelled".
  ~TextEngine() override;

  RequestId submit(TextRequest request, std::shared_ptr<TextSink> sink) override;
  void cancel(RequestId id) override;
  /// A sink is no longer full; else it is seen within kPausedWait.
  void wake();
  TextLoad load() const override;
  TextMetrics metrics() const;

  /// Error(usage) when the model has none.
  const text::Tokenizer& tokenizer() const override;
  const text::ChatTemplate* chat_template() const override;
  const text::OrderedJson& chat_variables() const override { return model_.chat_variables; }
  const pipelines::GenerationConfig& defaults() const override { return model_.defaults; }
  ConstraintCache& constraints() override { return constraints_; }
  std::string_view contract() const override;
  const std::string& fingerprint() const override { return fingerprint_; }
  /// The most tokens of a sequence, prompt and answer.
  std::int64_t context_length() const { return context_length_; }

  static constexpr std::chrono::milliseconds kPausedWait{10};

 private:
  struct Place {
    LiveRequest* request;
    std::size_t sequence;
    bool leads;  // the first of the request
  };
  using Mail = std::pair<std::vector<std::shared_ptr<LiveRequest>>, std::vector<RequestId>>;

  void run();
  bool wait_for_mail(bool idle, Mail& mail);
  void accept(std::shared_ptr<LiveRequest> request);
  bool step();
  void carry_out(const Plan& plan);
  void forward(const Plan& plan);
  void commit(const Plan& plan, TensorView logits);
  void choose(const Plan::Chunk& chunk, std::span<const float> logits);
  void fail_chunks(const Plan& plan, const Error& error);
  void end_sequence(TaskId task);
  void forget(LiveRequest& request);
  bool claim(LiveRequest& request);
  void fail_all(const Error& error);
  void publish();
  std::optional<TimePoint> queue_end(const LiveRequest& live) const;
  void count_late(double seconds);

  TextModel model_;
  TextEngineOptions options_;
  session::DecoderSession session_;
  std::int64_t context_length_;
  std::optional<pipelines::TokenizerStream> text_;
  ConstraintCache constraints_;
  std::string fingerprint_;
  // Of the engine's thread.
  Scheduler scheduler_;
  PagePool pool_;
  std::unordered_map<RequestId, std::shared_ptr<LiveRequest>> requests_;
  std::unordered_map<RequestId, std::vector<TaskId>> tasks_of_;
  std::unordered_map<TaskId, Place> places_;
  TaskId last_task_ = 0;
  std::vector<float> scores_;
  TextMetrics metrics_;
  // Of all threads.
  mutable std::mutex mutex_;
  std::condition_variable mail_came_;
  Mail mail_;
  bool is_stopping_ = false;
  bool is_woken_ = false;
  RequestId last_request_ = 0;
  std::int64_t fresh_ = 0;  // sequences that have not started
  std::uint64_t rejected_ = 0;
  LatenessHistogram lateness_;
  TextMetrics published_;
  QueueClock clock_;
  std::thread thread_;  // the last: it uses all of the above
};

}  // namespace tenon::serving
