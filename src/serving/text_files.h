// What a text model brings beside its engine: tokenizer, chat template, defaults.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "bundle/bundle.h"
#include "pipelines/text_generation/config.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tenon::serving {

struct TextFiles {
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
  text::OrderedJson chat_variables;
  pipelines::GenerationConfig defaults;  ///< generation_config.json and the tokenizer's end token
};

/// Whether a tokenizer is among the files.
bool has_tokenizer(const bundle::Files& files);

/// Error(bad_input) names what is malformed, or says that there is no tokenizer.
TextFiles read_text_files(const bundle::Files& files, const std::string& model);

}  // namespace tenon::serving
