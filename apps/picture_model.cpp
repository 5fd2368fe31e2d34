#include "picture_model.h"

#include <algorithm>

#include "base/error.h"
#include "pipelines/text_to_image/preflight.h"

namespace tenon::apps {

PictureModel::PictureModel(Model model, backend::Backend& backend)
    : model_(std::move(model)),
      parts_(pipelines::make_picture_parts(model_.engines, model_.contents.files, model_.name,
                                           backend)) {}

std::uint64_t PictureModel::arena_bytes(const pipelines::ImageRequest& request) {
  const pipelines::DiffusionFacts& facts = parts_.networks->facts();
  const auto size = pipelines::resolve_size(request, facts);
  const std::int64_t rows = size.height / facts.spatial_factor;
  const std::int64_t columns = size.width / facts.spatial_factor;
  const std::int64_t passes = request.images * (pipelines::uses_guidance(request, facts) ? 2 : 1);
  const std::map<std::string, Shape, std::less<>> shapes = {
      {"input_ids", {1, facts.text_length}},
      {"sample", {passes, facts.unet_channels, rows, columns}},
      {"timestep", {passes}},
      {"encoder_hidden_states", {passes, facts.text_length, facts.text_width}},
      {"timestep_cond", {passes, facts.time_cond_width}},
      {"latent_sample", {request.images, facts.latent_channels, rows, columns}}};
  std::uint64_t bytes = 0;
  for (const char* part : {"text_encoder", "unet", "vae_decoder"}) {
    session::TensorSession& session = *parts_.networks->session(part);
    std::vector<TensorView> inputs;
    for (const auto index : session.engine().inputs) {
      const engine::Value& input = session.engine().values[static_cast<std::size_t>(index)];
      const auto known = shapes.find(input.name);
      if (known == shapes.end())
        bad_input("{}: input {} is none that such a network is known to take", part, input.name);
      inputs.push_back({input.dtype, input.shape.empty() ? Shape() : known->second, nullptr});
    }
    with_context(part, [&] { session.executor().prepare(inputs); });
    bytes = std::max<std::uint64_t>(bytes, session.executor().arena_bytes());
  }
  return bytes;
}

std::vector<std::string> PictureModel::untuned() const {
  std::vector<std::string> parts;
  for (const auto& [name, engine] : model_.engines) {
    session::TensorSession* session = parts_.networks->session(name);
    if (session == nullptr || !session->executor().prepared()) continue;
    if (engine::tuned_for(*engine, session->executor().sizes())) continue;
    parts.push_back(
        fmt::format("{} ran at sizes that it was not tuned for; build with --profile to choose "
                    "kernels for them",
                    name));
  }
  return parts;
}

}  // namespace tenon::apps
