// OpenAI's API over the same models: completions, chat, images.
#pragma once

#include <chrono>
#include <memory>

#include "serving/http/router.h"
#include "serving/model_registry.h"

namespace tenon::serving::openai {

struct Context {
  std::shared_ptr<ModelRegistry> models;
  std::function<bool()> ready;
  std::chrono::seconds patience{600};
};

/// Adds /v1, /health and /openapi.json. /health is open, the rest needs a key where there are keys.
void add_routes(http::Router& router, const Context& context);

/// {"error": {"message", "type", "param", "code"}}
std::string error_body(int status, const std::string& message);

// The parts, each in its file.
void add_text_routes(http::Router& router, const Context& context);
void add_image_routes(http::Router& router, const Context& context);
void add_embedding_routes(http::Router& router, const Context& context);
/// OpenAPI 3.1 of the routes above.
Json openapi(const http::Router& router);

/// Runs the body; what it throws is answered with OpenAI's error object.
http::Handler guarded(http::Handler body);
http::Response refusal(const std::exception& error);
/// The object of the body, whose "model" must be a string; Error(bad_input) else.
Json request_object(const http::Request& request);
/// Seconds since 1970, as "created".
std::int64_t unix_now();

}  // namespace tenon::serving::openai
