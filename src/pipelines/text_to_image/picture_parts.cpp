#include "pipelines/text_to_image/picture_parts.h"

#include "base/error.h"
#include "pipelines/text_to_image/schedulers/scheduler_config.h"

namespace tenon::pipelines {
namespace {

constexpr const char* kScheduler = "scheduler/scheduler_config.json";

Json scheduler_of(const PictureFiles& files, const std::string& model) {
  const auto found = files.find(kScheduler);
  if (found == files.end()) {
    Error error(ErrorCode::bad_input, fmt::format("{}: has no {}", model, kScheduler));
    throw error.hint("copy it from the checkpoint: without it the noise levels are not known");
  }
  return parse_python_json(found->second, kScheduler);
}

std::unique_ptr<text::Tokenizer> tokenizer_of(const PictureFiles& files, const std::string& model) {
  const text::TokenizerFiles found = text::files_below(files, "tokenizer/");
  if (found.empty()) {
    Error error(ErrorCode::bad_input, fmt::format("{}: has no folder tokenizer", model));
    throw error.hint("put the tokenizer's vocab.json and merges.txt into a folder tokenizer there");
  }
  return with_context(model + "/tokenizer", [&] { return text::load_tokenizer(found); });
}

}  // namespace

PictureParts make_picture_parts(const PictureEngines& engines, const PictureFiles& files,
                                const std::string& name, backend::Backend& backend) {
  PictureParts parts;
  parts.networks = std::make_unique<SessionModels>(engines, files, backend);
  parts.tokenizer = tokenizer_of(files, name);
  parts.pipeline =
      std::make_unique<TextToImage>(*parts.networks, *parts.tokenizer, scheduler_of(files, name));
  return parts;
}

std::string PictureParts::default_scheduler() const {
  return get_string(pipeline->scheduler_config(), "_class_name", "");
}

}  // namespace tenon::pipelines
