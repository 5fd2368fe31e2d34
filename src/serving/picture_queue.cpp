#include "serving/picture_queue.h"

#include <algorithm>
#include <utility>

#include "pipelines/text_to_image/preflight.h"
#include "serving/batching/batch_invariant.h"

namespace tenon::serving {
namespace {

using pipelines::ImageRequest;

constexpr std::size_t kKept = std::size_t{256} << 20;  // of working memory, between drawings
constexpr std::int64_t kMaxWaiting = 8;  // each one takes seconds and a thread of its client's

bundle::Engines fixed(const bundle::Engines& engines, const backend::Backend& backend) {
  bundle::Engines made;
  for (const auto& [part, engine] : engines) made[part] = batch_invariant(*engine, backend);
  return made;
}

bool belong_together(const ImageRequest& a, const ImageRequest& b) {
  const auto guided = [](const ImageRequest& one) { return one.guidance > 1; };
  const auto from_picture = [](const ImageRequest& one) {
    return one.init_image.has_value() || one.mask.has_value();
  };
  return a.width == b.width && a.height == b.height && a.steps == b.steps &&
         a.scheduler == b.scheduler && guided(a) == guided(b) && !from_picture(a) &&
         !from_picture(b);
}

}  // namespace

PictureServed::PictureServed(ModelParts parts, const ModelOptions& options)
    : backend_(options.threads),
      parts_(pipelines::make_picture_parts(
          options.batch_invariant ? fixed(parts.engines, backend_) : parts.engines, parts.files,
          parts.name, backend_)),
      max_waiting_(std::min(options.queue, kMaxWaiting)),
      max_pictures_(std::max(1, parts.config.max_batch_size())) {
  info_.name = std::move(parts.name);
  info_.version = std::move(parts.version);
  info_.config = std::move(parts.config);
  info_.kind = ModelKind::pictures;
  info_.limits.queue = max_waiting_;
}

std::int64_t PictureServed::waiting() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::int64_t>(waiting_.size());
}

// The first one, and those behind it that may share its run.
std::vector<PictureServed::Job*> PictureServed::take_run() {
  std::vector<Job*> taken = {waiting_.front()};
  waiting_.pop_front();
  std::int64_t pictures = taken.front()->run.request->images;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const ImageRequest& request = *(*at)->run.request;
    if (pictures + request.images > max_pictures_ ||
        !belong_together(*taken.front()->run.request, request)) {
      ++at;
      continue;
    }
    pictures += request.images;
    taken.push_back(*at);
    at = waiting_.erase(at);
  }
  return taken;
}

// Without the frame of each row (bos, eos and padding).
std::int64_t PictureServed::tokens_of(const ImageRequest& request) const {
  const auto& facts = parts_.networks->facts();
  const std::int32_t eos = parts_.tokenizer->eos().value_or(-1);
  std::int64_t count = 0;
  const auto add = [&](const std::string& prompt) {
    std::vector<std::string> notes;
    const auto tokens = pipelines::tokenize_prompt(*parts_.tokenizer, prompt, facts.text_length,
                                                   request.prompt_options, "prompt", notes);
    for (const auto& row : tokens.chunks)
      count += std::find(row.begin() + 1, row.end(), eos) - row.begin() - 1;
  };
  add(request.prompt);
  if (pipelines::uses_guidance(request, facts)) add(request.negative_prompt);
  return count;
}

void PictureServed::run(const std::vector<Job*>& jobs) {
  std::vector<pipelines::SharedRun> runs;
  std::vector<BatchRun> calls;
  for (Job* one : jobs) {
    one->begun = Clock::now();
    runs.push_back(std::move(one->run));
  }
  try {
    parts_.pipeline->run_together(runs, [&](const pipelines::UnetCall& call) {
      calls.push_back({static_cast<std::uint64_t>(call.pictures), {}, call.time, {}});
    });
  } catch (...) {
    for (auto& run : runs) run.error = std::current_exception();
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    jobs[i]->run = std::move(runs[i]);
    if (!jobs[i]->run.error) jobs[i]->calls = std::exchange(calls, {});
  }
}

// The networks share one arena.
void PictureServed::rest() { parts_.networks->session("unet")->executor().give_back(kKept); }

// One of the callers draws for all who share its run.
PictureResult PictureServed::draw(const ImageRequest& request, const pipelines::OnStep& on_step) {
  const auto arrival = Clock::now();
  Job job{{&request, on_step, {}, nullptr}, false, {}, {}};
  std::unique_lock lock(mutex_);
  if (static_cast<std::int64_t>(waiting_.size()) >= max_waiting_)
    throw Rejected(fmt::format("{} requests wait already, which is the most", max_waiting_),
                   std::chrono::seconds(1));
  waiting_.push_back(&job);
  changed_.wait(lock, [&] {
    return job.is_done || (!is_drawing_ && !waiting_.empty() && waiting_.front() == &job);
  });
  if (!job.is_done) {
    is_drawing_ = true;
    const std::vector<Job*> jobs = take_run();
    lock.unlock();
    run(jobs);
    lock.lock();
    if (waiting_.empty()) rest();
    for (Job* one : jobs) one->is_done = true;
    is_drawing_ = false;
    lock.unlock();
    changed_.notify_all();
  } else {
    lock.unlock();
  }
  if (job.run.error) std::rethrow_exception(job.run.error);
  PictureResult result;
  static_cast<pipelines::ImageResult&>(result) = std::move(job.run.result);
  result.queue = job.begun - arrival;
  result.infer = Clock::now() - job.begun;
  result.prompt_tokens = tokens_of(request);
  const std::int64_t side = parts_.networks->facts().spatial_factor;
  result.latents = request.images * (result.width / side) * (result.height / side);
  result.calls = std::move(job.calls);
  return result;
}

}  // namespace tenon::serving
