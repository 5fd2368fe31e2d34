// What is wrong with a request, or between model and scheduler, known before a picture is made.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "pipelines/text_to_image/text_to_image.h"

namespace tenon::pipelines {

struct Finding {
  enum class Severity { note, warning, error };
  Severity severity = Severity::note;
  std::string message;  ///< what was found, and what was expected
  std::string advice;   ///< what to do about it
  std::string text() const { return advice.empty() ? message : message + "; " + advice; }
};

/// Contradictions inside the model: widths, channels, text length, scaling factor, prediction type.
std::vector<Finding> check_model(const DiffusionFacts& facts, const text::Tokenizer& tokenizer,
                                 const Json& scheduler_config);

/// check_model, and what the request asks of it: size, batch, guidance, pictures and masks. Runs no
/// network. Ordered by severity, errors first.
std::vector<Finding> preflight(const DiffusionFacts& facts, const text::Tokenizer& tokenizer,
                               const Json& scheduler_config, const ImageRequest& request);

/// Whether what the unet gave for nearly pure noise is the noise, as the config says. A model
/// trained on epsilon gives back its input there (correlation near 1), one trained on v_prediction
/// does not (near 0). Empty when both agree, or for other prediction types.
std::vector<Finding> check_prediction(const Json& scheduler_config, std::span<const float> sample,
                                      std::span<const float> output);

/// True when the unet runs on both prompts: guidance is above 1 and not an input of the model.
bool uses_guidance(const ImageRequest& request, const DiffusionFacts& facts);

}  // namespace tenon::pipelines
