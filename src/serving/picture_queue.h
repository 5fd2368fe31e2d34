// A model of pictures behind a queue: runs of several clients' requests where that is asked for.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

#include "backend/cpu/cpu_backend.h"
#include "pipelines/text_to_image/picture_parts.h"
#include "serving/make_model.h"

namespace tenon::serving {

/// Requests are drawn in the order of arrival. With a max_batch_size of 2 or more in the model's
/// configuration, those of equal size, steps, scheduler and start that wait at the same time share
/// a run of at most so many pictures; without, each has its own: on one processor a shared run
/// takes as long as its requests one after the other, and the first picture would come last.
class PictureServed final : public ServedModel, public PictureService {
 public:
  PictureServed(ModelParts parts, const ModelOptions& options);

  const ModelInfo& info() const override { return info_; }
  PictureService* pictures() override { return this; }

  PictureResult draw(const pipelines::ImageRequest& request,
                     const pipelines::OnStep& on_step) override;
  std::int64_t waiting() const override;
  std::string default_scheduler() const override { return parts_.default_scheduler(); }

 private:
  struct Job {
    pipelines::SharedRun run;
    bool is_done = false;
    Clock::time_point begun;
    std::vector<BatchRun> calls;  // of the run, in one of its jobs
  };
  void run(const std::vector<Job*>& jobs);
  void rest();
  std::int64_t tokens_of(const pipelines::ImageRequest& request) const;
  std::vector<Job*> take_run();

  ModelInfo info_;
  backend::CpuBackend backend_;
  pipelines::PictureParts parts_;
  std::int64_t max_waiting_;
  std::int64_t max_pictures_;  // of a shared run
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job*> waiting_;
  bool is_drawing_ = false;
};

}  // namespace tenon::serving
