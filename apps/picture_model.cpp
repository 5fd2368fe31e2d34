#include "picture_model.h"

namespace tenon::apps {

PictureModel::PictureModel(Model model, backend::Backend& backend)
    : model_(std::move(model)),
      parts_(pipelines::make_picture_parts(model_.engines, model_.contents.files, model_.name,
                                           backend)) {}

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
