// A request as OTLP/JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding, ids in
// hexadecimal digits, times and 64-bit numbers as texts.
#include <algorithm>

#include "base/json.h"
#include "serving/trace_settings.h"

namespace tenon::serving {
namespace {

using Steady = std::chrono::steady_clock;

constexpr int kInternal = 1, kServer = 2;  // SpanKind
constexpr int kStatusError = 2;            // StatusCode

Json text_of(const char* key, const std::string& value) {
  return {{"key", key}, {"value", {{"stringValue", value}}}};
}
Json number_of(const char* key, std::int64_t value) {
  return {{"key", key}, {"value", {{"intValue", std::to_string(value)}}}};
}

/// Writes the spans of one request.
class Spans {
 public:
  explicit Spans(const TracedRequest& request) : request_(request) {
    const auto ago = Steady::now() - request.begin;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    begin_ns_ = std::chrono::duration_cast<Nanoseconds>(now).count() -
                std::chrono::duration_cast<Nanoseconds>(ago).count();
  }

  Json whole() {
    Json span = made(request_.context.span_id, request_.context.parent_id, request_.model, kServer,
                     Nanoseconds(0), request_.phases.total);
    span["attributes"] = {text_of("tenon.model", request_.model),
                          text_of("tenon.model_version", request_.version),
                          text_of("tenon.request_id", request_.request_id)};
    if (request_.outcome != Outcome::success) {
      const char* reason = kFailureReasons[static_cast<std::size_t>(request_.outcome) - 1];
      span["status"] = {{"code", kStatusError}, {"message", reason}};
    }
    if (request_.first_token) tell_of_text(span);
    return span;
  }

  Json phase(const char* name, Nanoseconds from, Nanoseconds time) {
    return made(trace_context({}).span_id, request_.context.span_id, name, kInternal, from, time);
  }

 private:
  std::string at(Nanoseconds since) const { return std::to_string(begin_ns_ + since.count()); }

  Json made(const std::string& id, const std::string& parent, const std::string& name, int kind,
            Nanoseconds from, Nanoseconds time) const {
    Json span = {{"traceId", request_.context.trace_id},
                 {"spanId", id},
                 {"name", name},
                 {"kind", kind},
                 {"startTimeUnixNano", at(from)},
                 {"endTimeUnixNano", at(from + time)}};
    if (!parent.empty()) span["parentSpanId"] = parent;
    return span;
  }

  void tell_of_text(Json& span) const {
    const auto first =
        std::chrono::duration_cast<Nanoseconds>(*request_.first_token - request_.begin);
    span["events"] = {{{"name", "first_token"}, {"timeUnixNano", at(first)}}};
    span["attributes"].push_back(number_of("gen_ai.usage.input_tokens", request_.prompt_tokens));
    span["attributes"].push_back(number_of("gen_ai.usage.output_tokens", request_.tokens));
  }

  const TracedRequest& request_;
  std::int64_t begin_ns_ = 0;
};

}  // namespace

std::string otlp_line(const TracedRequest& request) {
  Spans spans(request);
  Json list = Json::array({spans.whole()});
  const Phases& phases = request.phases;
  Nanoseconds from{0};
  const auto add = [&](const char* name, Nanoseconds time) {
    const Nanoseconds left = std::max(Nanoseconds(0), phases.total - from);
    time = std::clamp(time, Nanoseconds(0), left);
    if (time.count() > 0) list.push_back(spans.phase(name, from, time));
    from += time;
  };
  add("input", phases.input);
  add("queue", phases.queue);
  add("infer", phases.infer);
  add("output", phases.output);
  const Json service = {{"attributes", {text_of("service.name", "tenon")}}};
  Json scope = {{"scope", {{"name", "tenon.serving"}}}, {"spans", std::move(list)}};
  const Json line = {
      {"resourceSpans",
       Json::array({{{"resource", service}, {"scopeSpans", Json::array({std::move(scope)})}}})}};
  return json_text(line) + "\n";
}

}  // namespace tenon::serving
