#include "serving/kserve/kserve.h"

#include "serving/kserve/about.h"
#include "serving/status.h"

namespace tenon::serving::kserve {

std::string error_body(int, const std::string& message) {
  return json_text(Json{{"error", message}});
}

void respond_error(http::Exchange& exchange, const std::exception& error) {
  http::Response response = error_response(error, error_body(0, message_of(error)));
  if (response.status == 429) response.status = 503;  // Triton's word for a full queue
  exchange.respond(std::move(response));
}

void respond_json(http::Exchange& exchange, const Json& body) {
  http::Response response;
  response.body = json_text(body);
  exchange.respond(std::move(response));
}

Json body_of(const http::Request& request) {
  if (request.body.empty()) return Json::object();
  Json body = parse_json(request.body, "request");
  if (!body.is_object()) bad_input("request: a JSON object was expected");
  return body;
}

http::Handler guarded(http::Handler body) {
  return [body = std::move(body)](const std::shared_ptr<http::Exchange>& exchange) {
    try {
      body(exchange);
    } catch (const std::exception& error) {
      respond_error(*exchange, error);
    }
  };
}

std::string version_of(const http::Request& request) {
  const auto found = request.parts.find("version");
  return found == request.parts.end() ? std::string() : found->second;
}

void add_routes(http::Router& router, const Context& context) {
  const auto quick = [&](const char* path, auto body, http::Access access = http::Access::keyed) {
    router.add({"GET", path, guarded([body](const std::shared_ptr<http::Exchange>& exchange) {
                  exchange->respond(body());
                }),
                access, http::Pace::quick});
  };
  quick(
      "/v2/health/live",
      [] {
        return http::Response{200, "", "text/plain", {}};
      },
      http::Access::open);
  quick("/v2/health/ready", [context] {
    const bool ready = context.ready() && context.models->ready();
    return http::Response{ready ? 200 : 400, "", "text/plain", {}};
  });
  quick("/v2", [] {
    return http::Response{200, json_of(about_server()).dump(), "application/json", {}};
  });
  add_model_routes(router, context);
  add_infer_routes(router, context);
  add_generate_routes(router, context);
  add_shared_memory_routes(router, context);
  add_setting_routes(router, context);
}

}  // namespace tenon::serving::kserve
