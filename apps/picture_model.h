// A model of pictures with its tokenizer and scheduler, ready to draw.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"
#include "model.h"
#include "pipelines/text_to_image/picture_parts.h"

namespace tenon::apps {

class PictureModel {
 public:
  /// Error(bad_input) when a part, the tokenizer or the scheduler's configuration is missing. The
  /// backend must outlive it.
  PictureModel(Model model, backend::Backend& backend);

  const Model& model() const { return model_; }
  pipelines::SessionModels& networks() { return *parts_.networks; }
  const text::Tokenizer& tokenizer() const { return *parts_.tokenizer; }
  pipelines::TextToImage& pipeline() { return *parts_.pipeline; }
  /// The name of the scheduler that the checkpoint asks for.
  std::string default_scheduler() const { return parts_.default_scheduler(); }
  /// Bytes of activations and workspace that a run of the request needs, all networks in one
  /// arena. Plans it and runs nothing.
  std::uint64_t arena_bytes(const pipelines::ImageRequest& request);
  /// Parts that last ran at sizes that they were not tuned for, in words.
  std::vector<std::string> untuned() const;

 private:
  Model model_;
  pipelines::PictureParts parts_;
};

}  // namespace tenon::apps
