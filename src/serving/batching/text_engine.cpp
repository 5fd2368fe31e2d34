// The loop: take mail, plan, run, choose, tell.
#include "serving/batching/text_engine.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "serving/batching/batch_invariant.h"
#include "serving/batching/fingerprint.h"

namespace tenon::serving {
namespace {

std::shared_ptr<const engine::Engine> engine_of(const TextModel& model,
                                                const backend::Backend& backend,
                                                const TextEngineOptions& options) {
  return options.batch_invariant ? batch_invariant(*model.engine, backend) : model.engine;
}

SchedulerLimits limits_of(const TextEngineOptions& options,
                          const session::DecoderSession& session) {
  SchedulerLimits limits;
  limits.max_running = options.max_running;
  limits.max_waiting = options.max_waiting;
  limits.step_tokens = options.step_tokens;
  limits.page_tokens = session.pages().page_tokens();
  limits.aging = options.aging;
  limits.replay_singly = session.depends_on_length();
  return limits;
}

}  // namespace

TextEngine::TextEngine(TextModel model, backend::Backend& backend, const TextEngineOptions& options)
    : model_(std::move(model)),
      options_(options),
      session_(engine_of(model_, backend, options), backend, options.cache_tokens),
      context_length_(pipelines::SessionDecoder(session_).context_length()),
      constraints_(model_.tokenizer.get()),
      scheduler_(limits_of(options, session_)),
      pool_(session_.pages(), options.share_prefixes && !session_.depends_on_length(),
            [this](TaskId task) {
              const Place& place = places_.at(task);
              return place.request->ids(place.sequence);
            }),
      // The engine counts it and forgets it, after its step.
      clock_([this](RequestId id, double late_s) {
        count_late(late_s);
        cancel(id);
      }) {
  if (model_.tokenizer != nullptr) text_.emplace(*model_.tokenizer);
  fingerprint_ = serving::fingerprint(*model_.engine, contract());
  thread_ = std::thread([this] { run(); });
}

TextEngine::~TextEngine() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  mail_came_.notify_all();
  thread_.join();
}

const text::Tokenizer& TextEngine::tokenizer() const {
  if (model_.tokenizer == nullptr) fail(ErrorCode::usage, "the model has no tokenizer");
  return *model_.tokenizer;
}

std::string_view TextEngine::contract() const {
  return options_.batch_invariant ? "batch-invariant" : "deterministic-per-batch";
}

const text::ChatTemplate* TextEngine::chat_template() const {
  return model_.chat_template ? &*model_.chat_template : nullptr;
}

RequestId TextEngine::submit(TextRequest request, std::shared_ptr<TextSink> sink) {
  RequestId id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_request_;
  }
  request.priority = std::clamp(request.priority, -100, 100);
  auto live =
      std::make_shared<LiveRequest>(id, std::move(request), std::move(sink), session_.vocabulary(),
                                    context_length_, text_ ? &*text_ : nullptr);
  const auto count = static_cast<std::int64_t>(live->sequences());
  if (count > options_.max_waiting) {
    fail(ErrorCode::usage, "{} answers were asked for, {} at most are computed for one request",
         count, options_.max_waiting);
  }
  {
    const std::lock_guard lock(mutex_);
    if (fresh_ + count > options_.max_waiting) {
      ++rejected_;
      // As long as the queue takes at the pace so far.
      const LatencyHistogram& whole = published_.whole;
      const double each_s = whole.count == 0 ? 1 : whole.sum_s / static_cast<double>(whole.count);
      const double turns =
          1 + static_cast<double>(fresh_) /
                  static_cast<double>(std::max<std::int64_t>(1, options_.max_running));
      throw Rejected(fmt::format("{} sequences wait for the model, {} at most may", fresh_,
                                 options_.max_waiting),
                     std::chrono::seconds(static_cast<std::int64_t>(
                         std::clamp(std::ceil(each_s * turns), 1.0, 60.0))));
    }
    fresh_ += count;
    mail_.first.push_back(live);
  }
  mail_came_.notify_all();
  if (const auto end = queue_end(*live)) clock_.add(*end, live);
  return id;
}

/// When the request is over unless it has begun.
std::optional<TimePoint> TextEngine::queue_end(const LiveRequest& live) const {
  std::optional<TimePoint> end = live.request().deadline;
  if (options_.queue_timeout.count() == 0) return end;
  const TimePoint queue_end = live.arrival() + options_.queue_timeout;
  return end ? std::min(*end, queue_end) : queue_end;
}

void TextEngine::cancel(RequestId id) {
  {
    const std::lock_guard lock(mutex_);
    mail_.second.push_back(id);
  }
  mail_came_.notify_all();
}

void TextEngine::wake() {
  {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
  }
  mail_came_.notify_all();
}

void TextEngine::run() {
  bool idle = true;
  Mail mail;
  while (wait_for_mail(idle, mail)) {
    try {
      for (auto& request : mail.first) accept(std::move(request));
      for (const RequestId id : mail.second) {
        const auto found = requests_.find(id);
        if (found == requests_.end()) continue;
        if (claim(*found->second)) found->second->cancel(metrics_);
        forget(*found->second);
      }
      idle = !step();
    } catch (const Error& error) {
      fail_all(error);
    } catch (const std::exception& error) {
      fail_all(Error(ErrorCode::internal, error.what()));
    }
    publish();
  }
  for (auto& request : mail.first) accept(std::move(request));
  for (auto& [id, request] : requests_) {
    if (claim(*request)) request->cancel(metrics_);
  }
  publish();
}

/// Whether the engine may tell the sink. Not of what the clock has ended: that is only counted.
bool TextEngine::claim(LiveRequest& request) {
  if (request.is_started() || request.claim()) return true;
  ++metrics_.failed;
  ++metrics_.queue_timeouts;
  return false;
}

/// False when the engine is to stop.
bool TextEngine::wait_for_mail(bool idle, Mail& mail) {
  mail = {};
  std::unique_lock lock(mutex_);
  const auto has_mail = [&] {
    return is_stopping_ || is_woken_ || !mail_.first.empty() || !mail_.second.empty();
  };
  if (idle) {
    auto until = scheduler_.next_deadline();
    if (scheduler_.any_paused()) {
      const auto soon = Clock::now() + kPausedWait;
      until = until ? std::min(*until, soon) : soon;
    }
    if (until) {
      mail_came_.wait_until(lock, *until, has_mail);
    } else {
      mail_came_.wait(lock, has_mail);
    }
  }
  is_woken_ = false;
  std::swap(mail, mail_);
  return !is_stopping_;
}

void TextEngine::accept(std::shared_ptr<LiveRequest> request) {
  LiveRequest& live = *request;
  requests_[live.id()] = std::move(request);
  ++metrics_.accepted;
  metrics_.prompt_tokens += static_cast<std::uint64_t>(live.prompt_tokens());
  const TaskId leader = last_task_ + 1;
  for (std::size_t i = 0; i < live.sequences(); ++i) {
    Task task;
    task.id = ++last_task_;
    task.priority = live.request().priority;
    task.client = live.request().client;
    task.arrival = live.arrival();
    task.prompt_tokens = live.prompt_tokens();
    task.deadline = live.request().deadline;
    if (i == 0 && options_.queue_timeout.count() > 0)
      task.queue_deadline = live.arrival() + options_.queue_timeout;
    if (i > 0) task.after = leader;
    places_[task.id] = {&live, i, i == 0};
    tasks_of_[live.id()].push_back(task.id);
    scheduler_.add(task);
  }
}

/// False when there was nothing to compute.
bool TextEngine::step() {
  for (auto at = requests_.begin(); at != requests_.end();) {
    LiveRequest& request = *(at++)->second;
    if (request.is_broken()) {
      if (claim(request)) request.cancel(metrics_);
      forget(request);
      continue;
    }
    const bool full = request.is_full();
    for (const TaskId task : tasks_of_.at(request.id())) scheduler_.set_paused(task, full);
  }
  Plan plan = scheduler_.plan(Clock::now(), pool_);
  carry_out(plan);
  // A request that expired has taken its other sequences with it.
  std::erase_if(plan.chunks, [&](const auto& chunk) { return !places_.contains(chunk.task); });
  if (plan.chunks.empty()) return false;
  ++metrics_.steps;
  forward(plan);
  return true;
}

void TextEngine::carry_out(const Plan& plan) {
  for (const auto& expired : plan.expired) {
    const auto place = places_.find(expired.task);
    if (place == places_.end()) continue;  // with another of its request
    LiveRequest& request = *place->second.request;
    const double waited = std::chrono::duration<double>(Clock::now() - request.arrival()).count();
    if (!claim(request)) {
      forget(request);
      continue;
    }
    if (expired.queued) ++metrics_.queue_timeouts;
    request.fail(
        DeadlineExceeded(fmt::format("the time of the request was over after {:.3f} s{}", waited,
                                     expired.queued ? ", before the model had come to it" : "")),
        metrics_);
    if (const auto end = queue_end(request); expired.queued && end)
      count_late(std::chrono::duration<double>(Clock::now() - *end).count());
    forget(request);
  }
  for (const TaskId task : plan.preempted) pool_.close(task);
  metrics_.preemptions += plan.preempted.size();
  for (const auto& admission : plan.admitted) {
    const auto place = places_.find(admission.task);
    if (place == places_.end()) continue;
    if (!claim(*place->second.request)) {
      forget(*place->second.request);
      continue;
    }
    const std::int64_t prefix = pool_.open(admission.task);
    if (prefix != admission.prefix_tokens)
      fail(ErrorCode::internal, "{} tokens were known of {}", prefix, admission.prefix_tokens);
    if (place->second.leads) place->second.request->started(prefix, metrics_);
  }
}

void TextEngine::forward(const Plan& plan) {
  std::vector<session::DecoderSession::Input> inputs;
  for (const auto& chunk : plan.chunks) {
    const Place& place = places_.at(chunk.task);
    const LiveRequest& request = *place.request;
    const auto sequence = pool_.sequence(chunk.task);
    const std::int64_t computed = session_.length(sequence);
    const auto tokens =
        request.ids(place.sequence)
            .subspan(static_cast<std::size_t>(computed), static_cast<std::size_t>(chunk.tokens));
    const bool prompt = computed < request.prompt_tokens();
    inputs.push_back({sequence, tokens, chunk.last ? session::Logits::last : session::Logits::none,
                      prompt ? request.prompt_tokens() : 0});
    metrics_.computed_tokens += static_cast<std::uint64_t>(chunk.tokens);
  }
  TensorView logits;
  try {
    if (!pool_.make_room(plan.chunks))
      fail(ErrorCode::internal, "the plan of a step needs more pages than there are");
    std::unique_lock<std::mutex> device;
    if (options_.device != nullptr) device = std::unique_lock(*options_.device);
    logits = session_.forward(inputs);
  } catch (const Error& error) {
    log::warn("a step failed: {}", error.what());
    return fail_chunks(plan, error);
  }
  commit(plan, logits);
}

void TextEngine::commit(const Plan& plan, TensorView logits) {
  const auto width = static_cast<std::size_t>(session_.vocabulary());
  std::size_t row = 0;
  // First what was computed is kept for others, while all its tokens are there.
  for (const auto& chunk : plan.chunks) pool_.keep(chunk.task);
  for (const auto& chunk : plan.chunks) {
    if (!chunk.last) continue;
    const std::span<const float> scores = logits.as<float>().subspan(row++ * width, width);
    if (places_.contains(chunk.task)) choose(chunk, scores);
  }
}

void TextEngine::choose(const Plan::Chunk& chunk, std::span<const float> logits) {
  const Place place = places_.at(chunk.task);
  LiveRequest& request = *place.request;
  scores_.assign(logits.begin(), logits.end());
  try {
    if (request.choose(place.sequence, scores_, metrics_)) {
      scheduler_.grow(chunk.task);
      return;
    }
  } catch (const Error& error) {
    request.fail(error, metrics_);
    return forget(request);
  }
  end_sequence(chunk.task);
  if (!request.has_ended()) return;
  request.finish(metrics_);
  forget(request);
}

void TextEngine::fail_chunks(const Plan& plan, const Error& error) {
  for (const auto& chunk : plan.chunks) {
    const auto place = places_.find(chunk.task);
    if (place == places_.end()) continue;
    LiveRequest& request = *place->second.request;
    request.fail(error, metrics_);
    forget(request);
  }
}

void TextEngine::end_sequence(TaskId task) {
  scheduler_.remove(task);
  pool_.close(task);
}

/// The request is gone after it.
void TextEngine::forget(LiveRequest& request) {
  const RequestId id = request.id();
  for (const TaskId task : tasks_of_.at(id)) {
    end_sequence(task);
    places_.erase(task);
  }
  tasks_of_.erase(id);
  requests_.erase(id);
}

void TextEngine::fail_all(const Error& error) {
  log::warn("all requests of the model failed: {}", error.what());
  while (!requests_.empty()) {
    LiveRequest& request = *requests_.begin()->second;
    if (claim(request)) request.fail(error, metrics_);
    forget(request);
  }
}

void TextEngine::publish() {
  metrics_.running = scheduler_.running();
  metrics_.waiting = scheduler_.waiting();
  metrics_.cache_usage = pool_.usage();
  metrics_.cached_pages = pool_.kept_pages();
  const std::lock_guard lock(mutex_);
  published_ = metrics_;
  fresh_ = scheduler_.fresh();
  for (const auto& request : mail_.first) fresh_ += static_cast<std::int64_t>(request->sequences());
}

}  // namespace tenon::serving
