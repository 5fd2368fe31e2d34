#include "serving/openai/openai.h"

#include "serving/status.h"

namespace tenon::serving::openai {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

const char* type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

Json code_of(int status) {
  if (status == 401) return "invalid_api_key";
  if (status == 404) return "not_found";
  return status == 429 ? Json("rate_limit_exceeded") : Json();
}

void answer(const Exchange& exchange, const Json& body) {
  exchange->respond({200, json_text(body), "application/json", {}});
}

Json model_object(const ModelInfo& info, std::int64_t created) {
  Json made = {{"id", info.name}, {"object", "model"}, {"created", created}, {"owned_by", "tenon"}};
  if (info.limits.context_tokens > 0) made["max_model_len"] = info.limits.context_tokens;
  return made;
}

}  // namespace

std::string error_body(int status, const std::string& message) {
  return json_text({{"error",
                     {{"message", message},
                      {"type", type_of(status)},
                      {"param", nullptr},
                      {"code", code_of(status)}}}});
}

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

http::Response refusal(const std::exception& error) {
  const int code = status_of(error).code;
  if (dynamic_cast<const UnknownModel*>(&error) == nullptr)
    return error_response(error, error_body(code, message_of(error)));
  Json body = Json::parse(error_body(code, message_of(error)));
  body["error"]["code"] = "model_not_found";
  body["error"]["param"] = "model";
  return error_response(error, json_text(body));
}

http::Handler guarded(http::Handler body) {
  return [body = std::move(body)](const Exchange& exchange) {
    try {
      body(exchange);
    } catch (const std::exception& error) {
      exchange->respond(refusal(error));
    }
  };
}

Json request_object(const http::Request& request) {
  constexpr std::size_t kMaxJson = std::size_t{16} << 20;
  if (request.body.size() > kMaxJson)
    bad_input("the body has {} bytes, at most {} were expected", request.body.size(), kMaxJson);
  Json body = parse_json(request.body, "request");
  if (!body.is_object()) bad_input("request: a JSON object was expected");
  if (get_string(body, "model", "").empty()) bad_input("field \"model\" is missing");
  return body;
}

void add_routes(http::Router& router, const Context& context) {
  const auto get = [&](const char* path, auto body, http::Access access = http::Access::keyed) {
    router.add({"GET", path, guarded(body), access, http::Pace::quick});
  };
  const std::int64_t created = unix_now();
  get(
      "/health",
      [](const Exchange& exchange) {
        exchange->respond({200, "", "text/plain", {}});
      },
      http::Access::open);
  get("/health/ready", [context](const Exchange& exchange) {
    const bool ready = context.ready() && context.models->ready();
    exchange->respond({ready ? 200 : 503, "", "text/plain", {}});
  });
  get("/v1/models", [context, created](const Exchange& exchange) {
    Json list = Json::array();
    for (const auto& held : context.models->ready_models())
      list.push_back(model_object(held->info(), created));
    answer(exchange, {{"object", "list"}, {"data", list}});
  });
  get("/v1/models/{model}", [context, created](const Exchange& exchange) {
    answer(exchange,
           model_object(context.models->get(exchange->request().part("model"))->info(), created));
  });
  add_text_routes(router, context);
  add_image_routes(router, context);
  add_embedding_routes(router, context);
  const auto description = std::make_shared<Json>();
  get("/openapi.json", [description](const Exchange& exchange) { answer(exchange, *description); });
  *description = openapi(router);
}

}  // namespace tenon::serving::openai
