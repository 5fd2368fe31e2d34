#include "traffic/result_fields.h"

#include <cmath>

#include <fmt/core.h>

namespace tenon::traffic {

double number_at(const Json& object, std::initializer_list<const char*> path) {
  const Json* at = &object;
  for (const char* key : path) {
    at = find_field(*at, key);
    if (at == nullptr) return NAN;
  }
  return at->is_number() ? at->get<double>() : NAN;
}

std::string text_at(const Json& object, const char* key) {
  const Json* field = find_field(object, key);
  return field != nullptr && field->is_string() ? field->get<std::string>() : std::string();
}

bool is_open(const Json& level) { return std::isfinite(number_at(level, {"request_rate"})); }
double load_of(const Json& level) {
  return is_open(level) ? number_at(level, {"request_rate"}) : number_at(level, {"concurrency"});
}
std::string load_name(const Json& level) {
  return is_open(level) ? fmt::format("{:g} requests/s", load_of(level))
                        : fmt::format("concurrency {:g}", load_of(level));
}

std::string label_of(const Json& result) {
  const std::string label = text_at(result, "label");
  return label.empty() ? text_at(result.at("server"), "url") : label;
}

}  // namespace tenon::traffic
