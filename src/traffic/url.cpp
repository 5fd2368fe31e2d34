#include "traffic/url.h"

#include <charconv>

#include "base/error.h"

namespace tenon::traffic {
namespace {

[[noreturn]] void refuse(std::string_view text, const char* why) {
  fail(ErrorCode::usage, "'{}' is no address of a server: {} (expected http://host:port)",
       text.substr(0, 200), why);
}

std::uint16_t parse_port(std::string_view digits, std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0 || port > 65535)
    refuse(text, "the port is no number from 1 to 65535");
  return static_cast<std::uint16_t>(port);
}

bool is_plain(char c) { return c > ' ' && c < 0x7f; }

}  // namespace

std::string Url::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  const std::string name = v6 ? fmt::format("[{}]", host) : host;
  return port == (tls ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

std::string Url::text() const { return (tls ? "https://" : "http://") + authority() + path; }

Url parse_url(std::string_view text) {
  Url url;
  std::string_view rest = text;
  for (const char c : text)
    if (!is_plain(c)) refuse(text, "it holds a blank or a character beyond ASCII");
  if (const auto scheme = rest.find("://"); scheme != std::string_view::npos) {
    const std::string_view name = rest.substr(0, scheme);
    if (name != "http" && name != "https") refuse(text, "only http and https are spoken");
    url.tls = name == "https";
    rest.remove_prefix(scheme + 3);
  }
  if (rest.find_first_of("?#@") != std::string_view::npos)
    refuse(text, "a query, a fragment or a password cannot stand in it");
  url.port = url.tls ? 443 : 80;
  const auto slash = rest.find('/');
  if (slash != std::string_view::npos) {
    url.path = rest.substr(slash);
    while (!url.path.empty() && url.path.back() == '/') url.path.pop_back();
    rest = rest.substr(0, slash);
  }
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    if (close == std::string_view::npos) refuse(text, "a bracket is not closed");
    url.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (!rest.empty() && rest.front() != ':') refuse(text, "something stands behind the bracket");
    if (!rest.empty()) url.port = parse_port(rest.substr(1), text);
  } else {
    const auto colon = rest.find(':');
    url.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) url.port = parse_port(rest.substr(colon + 1), text);
  }
  if (url.host.empty()) refuse(text, "the host is missing");
  return url;
}

}  // namespace tenon::traffic
