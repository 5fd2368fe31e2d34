// The description of the API for tools: paths from the table of routes, schemas of the bodies.
#include "serving/openai/openai.h"
#include "serving/picture_fields.h"
#include "serving/sampling_fields.h"

namespace tenon::serving::openai {
namespace {

Json number(double low, double high) {
  return {{"type", {"number", "null"}}, {"minimum", low}, {"maximum", high}};
}
Json integer(std::int64_t low, std::int64_t high) {
  return {{"type", {"integer", "null"}}, {"minimum", low}, {"maximum", high}};
}
Json of(const char* type) { return {{"type", type}}; }

Json sampling() {
  constexpr std::int64_t kMany = std::int64_t{1} << 31;
  return {{"model", of("string")},
          {"max_tokens", integer(1, kMany)},
          {"temperature", number(0, 100)},
          {"top_p", number(0, 1)},
          {"top_k", integer(-1, kMany)},
          {"n", integer(1, kMaxChoices)},
          {"seed", {{"type", {"integer", "null"}}}},
          {"stop", Json::object()},
          {"presence_penalty", number(-2, 2)},
          {"frequency_penalty", number(-2, 2)},
          {"logit_bias", {{"type", {"object", "null"}}}},
          {"stream", {{"type", {"boolean", "null"}}}},
          {"stream_options", {{"type", {"object", "null"}}}}};
}

Json body_of(const std::string& path) {
  Json properties = sampling();
  Json required = Json::array({"model"});
  if (path == "/v1/chat/completions") {
    properties["messages"] = {{"type", "array"}, {"minItems", 1}, {"items", of("object")}};
    properties["tools"] = {{"type", {"array", "null"}}};
    properties["logprobs"] = {{"type", {"boolean", "null"}}};
    properties["top_logprobs"] = integer(0, 20);
    required.push_back("messages");
  } else if (path == "/v1/completions") {
    properties["prompt"] = {{"type", {"string", "array"}}};
    properties["echo"] = {{"type", {"boolean", "null"}}};
    properties["logprobs"] = integer(0, 20);
    required.push_back("prompt");
  } else if (path == "/v1/images/generations") {
    properties = {{"model", of("string")},
                  {"prompt", {{"type", "string"}, {"minLength", 1}}},
                  {"negative_prompt", {{"type", {"string", "null"}}}},
                  {"n", integer(1, kMaxPictures)},
                  {"size", {{"type", {"string", "null"}}}},
                  {"steps", integer(1, 200)},
                  {"guidance", number(0, 100)},
                  {"seed", {{"type", {"integer", "null"}}, {"minimum", 0}}},
                  {"response_format", {{"enum", {"b64_json", nullptr}}}}};
    required.push_back("prompt");
  } else {
    properties = {{"model", of("string")}, {"input", Json::object()}};
  }
  return {{"type", "object"}, {"required", required}, {"properties", properties}};
}

Json operation(const http::Route& route) {
  const auto reply = [](const char* what) { return Json{{"description", what}}; };
  Json made = {{"operationId", route.method + route.pattern},
               {"responses",
                {{"200", reply("done")},
                 {"400", reply("the request cannot be met")},
                 {"401", reply("a valid API key is missing")},
                 {"404", reply("no such model")},
                 {"429", reply("too many requests wait")},
                 {"503", reply("no room or no time")}}}};
  if (route.pattern.find("{model}") != std::string::npos)
    made["parameters"] = {
        {{"name", "model"}, {"in", "path"}, {"required", true}, {"schema", of("string")}}};
  if (route.method == "POST")
    made["requestBody"] = {
        {"required", true},
        {"content", {{"application/json", {{"schema", body_of(route.pattern)}}}}}};
  if (route.access == http::Access::open) made["security"] = Json::array();
  return made;
}

}  // namespace

Json openapi(const http::Router& router) {
  Json paths = Json::object();
  for (const http::Route& route : router.routes()) {
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(c + ('a' - 'A'));
    paths[route.pattern][method] = operation(route);
  }
  return {
      {"openapi", "3.1.0"},
      {"info", {{"title", "Tenon"}, {"version", "0.1.0"}}},
      {"components", {{"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
      {"security", Json::array({{{"key", Json::array()}}})},
      {"paths", paths}};
}

}  // namespace tenon::serving::openai
