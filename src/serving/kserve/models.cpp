// What there is to ask about models: metadata, configuration, statistics, and the repository.
#include "serving/kserve/about.h"
#include "serving/kserve/kserve.h"
#include "serving/kserve/load_parameters.h"

namespace tenon::serving::kserve {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

// Models do not depend on each other here, so that `unload_dependents` asks for nothing more.
void check_unload_parameters(const Json& body) {
  const Json* parameters = find_field(body, "parameters");
  if (parameters == nullptr) return;
  if (!parameters->is_object()) bad_input("unload: \"parameters\": an object was expected");
  for (const auto& [name, value] : parameters->items()) {
    if (name != "unload_dependents")
      bad_input("unload: parameter {} is not known; unload_dependents is", name.substr(0, 128));
    get_bool(*parameters, "unload_dependents", false);
  }
}

void add_repository(http::Router& router, const Context& context) {
  router.add({"POST", "/v2/repository/index", guarded([context](const Exchange& exchange) {
                const bool only_ready = get_bool(body_of(exchange->request()), "ready", false);
                Json list = json_of(index_of(*context.models, only_ready))["models"];
                for (Json& one : list) {
                  if (one["reason"] == "") one.erase("reason");
                }
                respond_json(*exchange, list);
              })});
  router.add(
      {"POST", "/v2/repository/models/{model}/load", guarded([context](const Exchange& exchange) {
         context.models->load(exchange->request().part("model"),
                              load_parameters(body_of(exchange->request())));
         exchange->respond({});
       })});
  router.add(
      {"POST", "/v2/repository/models/{model}/unload", guarded([context](const Exchange& exchange) {
         check_unload_parameters(body_of(exchange->request()));
         context.models->unload(exchange->request().part("model"));
         exchange->respond({});
       })});
}

}  // namespace

void add_model_routes(http::Router& router, const Context& context) {
  const auto get = [&](const std::string& path, auto body) {
    router.add({"GET", path, guarded(body), http::Access::keyed, http::Pace::quick});
  };
  get("/v2/models/stats", [context](const Exchange& exchange) {
    Json list = Json::array();
    for (const auto& held : context.models->ready_models())
      list.push_back(json_of(statistics_of(held)));
    respond_json(*exchange, {{"model_stats", list}});
  });
  for (const std::string base : {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"}) {
    const auto held_of = [context](const Exchange& exchange) {
      const http::Request& request = exchange->request();
      return context.models->get(request.part("model"), version_of(request));
    };
    get(base, [context, held_of](const Exchange& exchange) {
      const auto held = held_of(exchange);
      respond_json(*exchange,
                   json_of(about_model(held->info(), context.models->versions(held->info().name))));
    });
    get(base + "/config", [held_of](const Exchange& exchange) {
      respond_json(*exchange, json_of(config_of(held_of(exchange)->info())));
    });
    get(base + "/stats", [held_of](const Exchange& exchange) {
      respond_json(*exchange,
                   {{"model_stats", Json::array({json_of(statistics_of(held_of(exchange)))})}});
    });
    get(base + "/ready", [held_of](const Exchange& exchange) {
      const bool ready = held_of(exchange)->ready();
      exchange->respond({ready ? 200 : 400, "", "text/plain", {}});
    });
  }
  add_repository(router, context);
}

}  // namespace tenon::serving::kserve
