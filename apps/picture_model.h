// A model of pictures with its tokenizer and scheduler, ready to draw.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"
#include "model.h"
#include "pipelines/text_to_image/session_models.h"
#include "pipelines/text_to_image/text_to_image.h"
#include "text/tokenizer.h"

namespace tenon::apps {

class PictureModel {
 public:
  /// Error(bad_input) when a part, the tokenizer or the scheduler's configuration is missing. The
  /// backend must outlive it.
  PictureModel(Model model, backend::Backend& backend);

  const Model& model() const { return model_; }
  pipelines::SessionModels& networks() { return *networks_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  pipelines::TextToImage& pipeline() { return *pipeline_; }
  /// The name of the scheduler that the checkpoint asks for.
  std::string default_scheduler() const;
  /// Parts that last ran at sizes that they were not tuned for, in words.
  std::vector<std::string> untuned() const;

 private:
  Model model_;
  std::unique_ptr<pipelines::SessionModels> networks_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<pipelines::TextToImage> pipeline_;
};

}  // namespace tenon::apps
