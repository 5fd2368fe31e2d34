// A model of pictures behind a queue.
#pragma once

#include "backend/cpu/cpu_backend.h"
#include "pipelines/text_to_image/picture_parts.h"
#include "serving/make_model.h"
#include "serving/turnstile.h"

namespace tenon::serving {

class PictureServed final : public ServedModel, public PictureService {
 public:
  PictureServed(ModelParts parts, const ModelOptions& options);

  const ModelInfo& info() const override { return info_; }
  PictureService* pictures() override { return this; }

  pipelines::ImageResult draw(const pipelines::ImageRequest& request,
                              const pipelines::OnStep& on_step) override;
  std::int64_t waiting() const override { return turnstile_.waiting(); }
  std::string default_scheduler() const override { return parts_.default_scheduler(); }

 private:
  ModelInfo info_;
  backend::CpuBackend backend_;
  pipelines::PictureParts parts_;
  Turnstile turnstile_;
};

}  // namespace tenon::serving
