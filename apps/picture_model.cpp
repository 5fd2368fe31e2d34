#include "picture_model.h"

#include "base/error.h"
#include "pipelines/text_to_image/schedulers/scheduler_config.h"

namespace tenon::apps {
namespace {

constexpr const char* kScheduler = "scheduler/scheduler_config.json";

Json scheduler_of(const bundle::Files& files, const std::string& model) {
  const auto found = files.find(kScheduler);
  if (found == files.end()) {
    Error error(ErrorCode::bad_input, fmt::format("{}: has no {}", model, kScheduler));
    throw error.hint("copy it from the checkpoint: without it the noise levels are not known");
  }
  return pipelines::parse_python_json(found->second, kScheduler);
}

std::unique_ptr<text::Tokenizer> tokenizer_of(const bundle::Files& files,
                                              const std::string& model) {
  const bundle::Files found = files_below(files, "tokenizer/");
  if (found.empty()) {
    Error error(ErrorCode::bad_input, fmt::format("{}: has no folder tokenizer", model));
    throw error.hint("put the tokenizer's vocab.json and merges.txt into a folder tokenizer there");
  }
  return with_context(model + "/tokenizer", [&] { return text::load_tokenizer(found); });
}

}  // namespace

PictureModel::PictureModel(Model model, backend::Backend& backend) : model_(std::move(model)) {
  const bundle::Files& files = model_.contents.files;
  networks_ = std::make_unique<pipelines::SessionModels>(model_.engines, files, backend);
  tokenizer_ = tokenizer_of(files, model_.name);
  pipeline_ = std::make_unique<pipelines::TextToImage>(*networks_, *tokenizer_,
                                                       scheduler_of(files, model_.name));
}

std::string PictureModel::default_scheduler() const {
  return get_string(pipeline_->scheduler_config(), "_class_name", "");
}

std::vector<std::string> PictureModel::untuned() const {
  std::vector<std::string> parts;
  for (const auto& [name, engine] : model_.engines) {
    session::TensorSession* session = networks_->session(name);
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
