// What completions and chat share on their way from JSON to text requests: which fields are taken,
// which are refused, and what they mean.
#pragma once

#include <span>

#include "serving/openai/text_writer.h"

namespace tenon::serving::openai {

inline constexpr std::int64_t kMaxLogprobs = 20;
inline constexpr std::int64_t kMaxPriority = 100;
inline constexpr std::size_t kMaxPrompts = 64;

/// Fields of both; each of the two has more of its own.
std::span<const std::string_view> common_fields();
/// Error(bad_input) names a field that is neither among the common ones nor among `own`, and a
/// field that is known but not offered with the value that it has.
void check_fields(const Json& body, std::span<const std::string_view> own);

/// Tells what is asked for and is not to be had. `neutral` values ask for nothing.
void refuse(const Json& body, const char* key, const char* why);

ModelRegistry::Held text_model(const Context& context, const Json& body);
/// The model's defaults, changed by the sampling fields; OpenAI samples at temperature 1 from all
/// tokens where the model's files say nothing else.
pipelines::GenerationConfig settings(const TextService& service, const Json& body);
TextShape shape_of(const Json& body, bool chat);
/// Hands the requests over: one for each prompt.
void run(const Context& context, const std::shared_ptr<http::Exchange>& exchange,
         const ModelRegistry::Held& held, std::vector<TextRequest> requests, const Json& body,
         TextShape shape);

/// POST /v1/completions and /v1/chat/completions.
void complete(const Context& context, const std::shared_ptr<http::Exchange>& exchange);
void chat(const Context& context, const std::shared_ptr<http::Exchange>& exchange);

}  // namespace tenon::serving::openai
