// A model of pictures from engines and the files beside them.
#pragma once

#include <memory>
#include <string>

#include "pipelines/text_to_image/session_models.h"
#include "pipelines/text_to_image/text_to_image.h"

namespace tenon::pipelines {

/// Networks, tokenizer and pipeline that belong together. One thread at a time.
struct PictureParts {
  std::unique_ptr<SessionModels> networks;
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::unique_ptr<TextToImage> pipeline;

  /// The name of the scheduler that the files ask for.
  std::string default_scheduler() const;
};

/// Error(bad_input) when a part, the tokenizer or the scheduler's configuration is missing; `name`
/// is the model's, for messages. The backend must outlive the parts.
PictureParts make_picture_parts(const PictureEngines& engines, const PictureFiles& files,
                                const std::string& name, backend::Backend& backend);

}  // namespace tenon::pipelines
