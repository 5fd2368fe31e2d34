#include "serving/kserve/kserve.h"

#include "serving/status.h"

namespace tenon::serving::kserve {

std::string error_body(int, const std::string& message) {
  return Json{{"error", message}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

http::Handler guarded(http::Handler body) {
  return [body = std::move(body)](const std::shared_ptr<http::Exchange>& exchange) {
    try {
      body(exchange);
    } catch (const std::exception& error) {
      http::Response response = error_response(error, error_body(0, message_of(error)));
      if (response.status == 429) response.status = 503;  // Triton's word for a full queue
      exchange->respond(std::move(response));
    }
  };
}

Clock::time_point deadline_of(const Json& parameters, std::chrono::seconds patience) {
  constexpr std::int64_t kDay = 86'400'000'000;
  const std::int64_t timeout = get_int(parameters, "timeout", 0, kDay, 0);
  if (timeout == 0) return Clock::now() + patience;
  return Clock::now() + std::chrono::microseconds(timeout);
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
    const Json body = {
        {"name", "tenon"},
        {"version", "0.1.0"},
        {"extensions",
         {"classification", "model_repository", "schedule_policy", "model_configuration",
          "binary_tensor_data", "parameters", "statistics", "generate"}}};
    return http::Response{200, body.dump(), "application/json", {}};
  });
  add_model_routes(router, context);
  add_infer_routes(router, context);
  add_generate_routes(router, context);
}

}  // namespace tenon::serving::kserve
