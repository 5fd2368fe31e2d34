#include "serving/picture_queue.h"

namespace tenon::serving {

PictureServed::PictureServed(ModelParts parts, const ModelOptions& options)
    : backend_(options.threads),
      parts_(pipelines::make_picture_parts(parts.engines, parts.files, parts.name, backend_)),
      turnstile_(std::min<std::int64_t>(options.queue, 8)) {  // each one takes seconds and a worker
  info_.name = std::move(parts.name);
  info_.version = std::move(parts.version);
  info_.config = std::move(parts.config);
  info_.kind = ModelKind::pictures;
  info_.limits.queue = std::min<std::int64_t>(options.queue, 8);
}

pipelines::ImageResult PictureServed::draw(const pipelines::ImageRequest& request,
                                           const pipelines::OnStep& on_step) {
  const Turnstile::Pass pass(turnstile_);
  return parts_.pipeline->run(request, on_step);
}

}  // namespace tenon::serving
