#include "serving/playground/playground.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"

namespace tenon::serving::playground {
namespace {

// Pictures and downloads are made in the page, from what the API answered.
constexpr const char* kPolicy =
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

std::string type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  fail(ErrorCode::internal, "the page has a file {} of no known type", name);
}

// If-None-Match is a list of tags, each perhaps with W/ in front, or a star.
bool names(std::string_view header, std::string_view tag) {
  while (!header.empty()) {
    const auto comma = header.find(',');
    std::string_view one = header.substr(0, comma);
    header.remove_prefix(comma == std::string_view::npos ? header.size() : comma + 1);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == tag || one == "*") return true;
  }
  return false;
}

struct Answer {
  http::Response whole, unchanged;
  std::string tag;
};

Answer answer_of(const File& file) {
  Answer made;
  const std::string sum = sha256_hex(std::as_bytes(std::span(file.content)));
  made.tag = fmt::format("\"{}\"", sum.substr(0, 32));
  made.whole = {200,
                std::string(file.content),
                type_of(file.name),
                {{"ETag", made.tag},
                 {"Cache-Control", "no-cache"},
                 {"Content-Security-Policy", kPolicy},
                 {"Referrer-Policy", "no-referrer"},
                 {"Cross-Origin-Opener-Policy", "same-origin"}}};
  made.unchanged = made.whole;
  made.unchanged.status = 304;
  return made;
}

}  // namespace

void add_routes(http::Router& router) {
  const auto add = [&](const std::string& pattern, const Answer& answer) {
    router.add({"GET", pattern,
                [answer](const std::shared_ptr<http::Exchange>& exchange) {
                  const bool known = names(exchange->request().header("if-none-match"), answer.tag);
                  exchange->respond(known ? answer.unchanged : answer.whole);
                },
                http::Access::keyed, http::Pace::quick});
  };
  for (const File& file : files()) {
    const Answer answer = answer_of(file);
    add(file.name == "index.html" ? "/" : fmt::format("/playground/{}", file.name), answer);
  }
  router.add({"GET", "/playground",
              [](const std::shared_ptr<http::Exchange>& exchange) {
                exchange->respond({303, "", "text/plain", {{"Location", "/"}}});
              },
              http::Access::keyed, http::Pace::quick});
}

}  // namespace tenon::serving::playground
