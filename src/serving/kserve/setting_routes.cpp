// Settings of traces and of the log, as Triton's clients read and change them.
#include "serving/kserve/kserve.h"
#include "serving/log_settings.h"
#include "serving/trace_settings.h"

namespace tenon::serving::kserve {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

std::string text_of(const Json& value, const std::string& name) {
  if (!value.is_string()) bad_input("{}: a string was expected", name.substr(0, 60));
  return value.get<std::string>();
}

TraceSettings::Changes read_traces(const Json& body) {
  TraceSettings::Changes changes;
  for (const auto& [name, value] : body.items()) {
    if (value.is_null()) {
      changes.emplace(name, std::nullopt);
      continue;
    }
    std::vector<std::string> values;
    if (value.is_array()) {
      for (const Json& one : value) values.push_back(text_of(one, name));
    } else {
      values.push_back(text_of(value, name));
    }
    changes.emplace(name, std::move(values));
  }
  return changes;
}

// The level is a list, whatever it holds; the others are texts.
Json written(const TraceSettings::Written& settings) {
  Json made = Json::object();
  for (const auto& [name, values] : settings)
    made[name] = name == "trace_level" ? Json(values) : Json(values.front());
  return made;
}

LogSettings::Changes read_logs(const Json& body) {
  LogSettings::Changes changes;
  for (const auto& [name, value] : body.items()) {
    if (value.is_null()) continue;
    if (value.is_boolean())
      changes.emplace(name, value.get<bool>());
    else if (value.is_string())
      changes.emplace(name, value.get<std::string>());
    else if (value.is_number_integer() && value <= std::numeric_limits<std::int64_t>::max())
      changes.emplace(name, value.get<std::int64_t>());
    else
      bad_input("{}: a boolean, an integer or a string was expected", name.substr(0, 60));
  }
  return changes;
}

Json written(const LogSettings::Changes& settings) {
  Json made = Json::object();
  for (const auto& [name, value] : settings)
    std::visit([&, &key = name](const auto& plain) { made[key] = plain; }, value);
  return made;
}

}  // namespace

void add_setting_routes(http::Router& router, const Context& context) {
  const auto traces =
      context.traces != nullptr ? context.traces : std::make_shared<TraceSettings>();
  const auto logs = context.logs != nullptr ? context.logs : std::make_shared<LogSettings>();
  const auto add = [&](const std::string& path, const auto& change, const auto& show) {
    for (const char* method : {"GET", "POST"}) {
      router.add({method, path, guarded([method, change, show](const Exchange& exchange) {
                    if (*method == 'P') change(exchange->request());
                    respond_json(*exchange, show(exchange->request()));
                  }),
                  http::Access::keyed, http::Pace::quick});
    }
  };
  const auto model_of = [models = context.models](const http::Request& request) {
    const auto found = request.parts.find("model");
    if (found == request.parts.end()) return std::string();
    try {
      (void)models->get(found->second);
    } catch (const UnknownModel&) {
      bad_input("Request for unknown model : {}", found->second);
    }
    return found->second;
  };
  for (const char* path : {"/v2/trace/setting", "/v2/models/{model}/trace/setting"}) {
    add(
        path,
        [traces, model_of](const http::Request& request) {
          traces->update(model_of(request), read_traces(body_of(request)));
        },
        [traces, model_of](const http::Request& request) {
          return written(traces->written(model_of(request)));
        });
  }
  add(
      "/v2/logging",
      [logs](const http::Request& request) { logs->update(read_logs(body_of(request))); },
      [logs](const http::Request&) { return written(logs->written()); });
}

}  // namespace tenon::serving::kserve
