// The description of the API for tools: paths from the table of routes, schemas of the bodies.
#include "base/version.h"
#include "serving/openai/embedding_fields.h"
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

Json maybe(const char* type) { return {{"type", {type, "null"}}}; }
Json list_of(Json items) { return {{"type", "array"}, {"items", std::move(items)}}; }
Json object_of(Json properties, Json required) {
  return {
      {"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}};
}

Json sampling() {
  constexpr std::int64_t kMany = std::int64_t{1} << 31;
  constexpr std::int64_t kId = kMany - 1;
  const Json schema = {{"type", {"object", "string", "boolean", "null"}}};
  Json made = {
      {"model", of("string")},
      {"stream", maybe("boolean")},
      {"stream_options", maybe("object")},
      {"response_format", maybe("object")},
      {"guided_json", schema},
      {"json_schema", schema},
      {"structured_outputs", maybe("object")},
      {"guided_choice", {{"type", {"array", "null"}}, {"minItems", 1}, {"items", of("string")}}},
      {"metadata", maybe("object")},
      {"store", {{"enum", {false, nullptr}}}},
      {"service_tier", {{"enum", {"auto", "default", nullptr}}}},
      {"priority", integer(-100, 100)},
      {"skip_special_tokens", {{"enum", {true, nullptr}}}},
      {"temperature", number(0, 100)},
      {"top_p", number(0, 1)},
      {"top_k", integer(-1, kMany)},
      {"min_p", number(0, 1)},
      {"typical_p", number(0, 1)},
      {"n", integer(1, kMaxChoices)},
      {"seed", maybe("integer")},
      {"stop",
       {{"anyOf",
         {maybe("string"), {{"type", "array"}, {"maxItems", 16}, {"items", of("string")}}}}}},
      {"stop_token_ids",
       {{"type", {"array", "null"}},
        {"items", {{"type", "integer"}, {"minimum", 0}, {"maximum", kId}}}}},
      {"repetition_penalty", number(0.01, 100)},
      {"presence_penalty", number(-2, 2)},
      {"frequency_penalty", number(-2, 2)},
      {"ignore_eos", maybe("boolean")},
      {"logit_bias", maybe("object")}};
  for (const char* key : {"max_tokens", "max_new_tokens", "max_completion_tokens"})
    made[key] = integer(1, kMany);
  for (const char* key : {"min_tokens", "min_new_tokens"}) made[key] = integer(0, kMany);
  for (const char* key : {"guided_regex", "guided_grammar", "grammar", "user", "safety_identifier",
                          "prompt_cache_key"})
    made[key] = maybe("string");
  made["guided_json_object"] = maybe("boolean");
  return made;
}

Json body_of(const std::string& path) {
  Json properties = sampling();
  Json required = Json::array({"model"});
  if (path == "/v1/chat/completions") {
    const Json function = object_of(
        {{"name", of("string")}, {"description", maybe("string")}, {"parameters", maybe("object")}},
        {"name"});
    properties["messages"] = {
        {"type", "array"},
        {"minItems", 1},
        {"items", object_of({{"role", of("string")},
                             {"content", {{"type", {"string", "array", "null"}}}},
                             {"tool_calls", {{"type", {"array", "null"}}}}},
                            {"role"})}};
    properties["tools"] = {
        {"type", {"array", "null"}},
        {"maxItems", 128},
        {"items", object_of({{"type", {{"const", "function"}}}, {"function", function}},
                            {"type", "function"})}};
    properties["tool_choice"] = {{"type", {"string", "object", "null"}}};
    properties["parallel_tool_calls"] = maybe("boolean");
    properties["documents"] = {{"type", {"array", "null"}}};
    properties["chat_template_kwargs"] = maybe("object");
    properties["reasoning_effort"] = maybe("string");
    properties["modalities"] = {{"enum", Json::array({Json::array({"text"}), nullptr})}};
    properties["prediction"] = maybe("object");
    properties["logprobs"] = maybe("boolean");
    properties["top_logprobs"] = integer(0, 20);
    required.push_back("messages");
  } else if (path == "/v1/completions") {
    properties["prompt"] = {{"type", {"string", "array"}}};
    properties["echo"] = maybe("boolean");
    properties["best_of"] = integer(1, kMaxChoices);
    properties["add_special_tokens"] = maybe("boolean");
    properties["logprobs"] = integer(0, 20);
    required.push_back("prompt");
  } else if (path == "/v1/images/generations") {
    properties = {{"model", of("string")},
                  {"prompt", {{"type", "string"}, {"minLength", 1}}},
                  {"negative_prompt", maybe("string")},
                  {"n", integer(1, kMaxPictures)},
                  {"size", maybe("string")},
                  {"width", integer(1, 2048)},
                  {"height", integer(1, 2048)},
                  {"steps", integer(1, 200)},
                  {"guidance", number(0, 100)},
                  {"scheduler", maybe("string")},
                  {"seed", {{"type", {"integer", "null"}}, {"minimum", 0}}},
                  {"stream", maybe("boolean")},
                  {"partial_images", integer(0, 3)},
                  {"output_format", {{"enum", {"png", "jpeg", "webp", nullptr}}}},
                  {"output_compression", integer(1, 100)},
                  {"quality", {{"enum", {"auto", "standard", nullptr}}}},
                  {"background", {{"enum", {"auto", "opaque", nullptr}}}},
                  {"moderation", {{"enum", {"auto", "low", nullptr}}}},
                  {"user", maybe("string")},
                  {"response_format", {{"enum", {"b64_json", nullptr}}}}};
    required.push_back("prompt");
  } else {
    const Json id = {{"type", "integer"}, {"minimum", 0}};
    const Json text = {{"type", "string"}, {"minLength", 1}};
    const auto some = [](Json items, std::size_t most) {
      return Json{{"type", "array"}, {"minItems", 1}, {"maxItems", most}, {"items", items}};
    };
    const Json ids = some(id, kMaxInputTokens);
    properties = {
        {"model", of("string")},
        {"input", {{"anyOf", {text, some(text, kMaxInputs), ids, some(ids, kMaxInputs)}}}},
        {"encoding_format", {{"enum", {"float", "base64", nullptr}}}},
        {"dimensions", integer(1, 1 << 20)},
        {"user", maybe("string")}};
    required.push_back("input");
  }
  return {{"type", "object"},
          {"required", required},
          {"properties", properties},
          {"additionalProperties", false}};
}

Json text_answer(const char* member, Json value) {
  const Json choice = object_of({{"index", of("integer")},
                                 {"finish_reason", {{"enum", {"stop", "length", "tool_calls"}}}},
                                 {"logprobs", maybe("object")},
                                 {member, std::move(value)}},
                                {"index", "finish_reason", member});
  const Json usage = object_of({{"prompt_tokens", of("integer")},
                                {"completion_tokens", of("integer")},
                                {"total_tokens", of("integer")}},
                               {"prompt_tokens", "completion_tokens", "total_tokens"});
  return object_of({{"id", of("string")},
                    {"object", of("string")},
                    {"created", of("integer")},
                    {"model", of("string")},
                    {"system_fingerprint", of("string")},
                    {"choices", list_of(choice)},
                    {"usage", usage}},
                   {"id", "object", "created", "model", "choices", "usage"});
}

/// Of the answer with status 200; null: it has no JSON.
Json answer_of(const std::string& path) {
  const Json model = object_of({{"id", of("string")},
                                {"object", of("string")},
                                {"created", of("integer")},
                                {"owned_by", of("string")},
                                {"max_model_len", of("integer")}},
                               {"id", "object", "created", "owned_by"});
  if (path == "/v1/models")
    return object_of({{"object", of("string")}, {"data", list_of(model)}}, {"object", "data"});
  if (path == "/v1/models/{model}") return model;
  if (path == "/v1/completions") return text_answer("text", of("string"));
  if (path == "/v1/chat/completions") {
    return text_answer("message", object_of({{"role", of("string")},
                                             {"content", maybe("string")},
                                             {"tool_calls", of("array")}},
                                            {"role", "content"}));
  }
  if (path == "/v1/images/generations") {
    return object_of({{"created", of("integer")},
                      {"data", list_of(object_of({{"b64_json", of("string")}}, {"b64_json"}))},
                      {"output_format", of("string")},
                      {"size", of("string")}},
                     {"created", "data"});
  }
  if (path == "/v1/embeddings") {
    const Json numbers = {{"anyOf", {list_of(of("number")), of("string")}}};
    return object_of(
        {{"object", of("string")},
         {"model", of("string")},
         {"data", list_of(object_of(
                      {{"object", of("string")}, {"index", of("integer")}, {"embedding", numbers}},
                      {"object", "index", "embedding"}))},
         {"usage", object_of({{"prompt_tokens", of("integer")}, {"total_tokens", of("integer")}},
                             {"prompt_tokens", "total_tokens"})}},
        {"object", "model", "data", "usage"});
  }
  return path == "/openapi.json" ? of("object") : Json();
}

Json operation(const http::Route& route) {
  const auto reply = [](const char* what) { return Json{{"description", what}}; };
  Json made = {{"operationId", route.method + route.pattern},
               {"responses",
                {{"200", reply("done")},
                 {"400", reply("the request cannot be met")},
                 {"401", reply("a valid API key is missing")},
                 {"404", reply("no such model")},
                 {"408", reply("the request took too long to arrive")},
                 {"413", reply("the request is too large")},
                 {"429", reply("too many requests wait")},
                 {"503", reply("no room or no time")}}}};
  if (Json schema = answer_of(route.pattern); !schema.is_null()) {
    Json& content = made["responses"]["200"]["content"];
    content["application/json"]["schema"] = std::move(schema);
    const bool streams = route.method == "POST" && route.pattern != "/v1/embeddings";
    if (streams) content["text/event-stream"]["schema"] = of("string");
  }
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
      {"info", {{"title", "Tenon"}, {"version", version()}}},
      {"components", {{"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
      {"security", Json::array({{{"key", Json::array()}}})},
      {"paths", paths}};
}

}  // namespace tenon::serving::openai
