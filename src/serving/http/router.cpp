#include "serving/http/router.h"

#include <algorithm>

namespace tenon::serving::http {
namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  if (path.empty() || path.front() != '/') return parts;
  path.remove_prefix(1);
  if (!path.empty() && path.back() == '/') path.remove_suffix(1);
  while (true) {
    const auto slash = path.find('/');
    parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool usable(const std::string& segment) {
  return segment != "." && segment != ".." &&
         std::none_of(segment.begin(), segment.end(),
                      [](char c) { return c == '/' || (c >= 0 && c < 32) || c == 127; });
}

bool is_name(const std::string& segment) { return segment.size() > 2 && segment.front() == '{'; }

}  // namespace

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

void Router::add(Route route) {
  segments_.push_back(split(route.pattern));
  routes_.push_back(std::move(route));
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
  Match match;
  std::vector<std::string> segments = split(path);
  for (std::string& segment : segments) {
    auto decoded = percent_decoded(segment);
    if (!decoded || !usable(*decoded)) {
      match.status = 400;
      return match;
    }
    segment = std::move(*decoded);
  }
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    if (segments_[i].size() != segments.size()) continue;
    std::map<std::string, std::string, std::less<>> parts;
    bool fits = true;
    for (std::size_t k = 0; k < segments.size() && fits; ++k) {
      const std::string& pattern = segments_[i][k];
      if (is_name(pattern)) {
        fits = !segments[k].empty();
        parts[pattern.substr(1, pattern.size() - 2)] = segments[k];
      } else {
        fits = pattern == segments[k];
      }
    }
    if (!fits) continue;
    if (routes_[i].method != wanted) {
      match.status = 405;
      match.allow += (match.allow.empty() ? "" : ", ") + routes_[i].method;
      continue;
    }
    match.route = &routes_[i];
    match.parts = std::move(parts);
    return match;
  }
  return match;
}

}  // namespace tenon::serving::http
