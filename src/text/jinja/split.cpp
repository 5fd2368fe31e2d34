// Python's ways to split text.
#include "text/jinja/split.h"

#include <algorithm>

#include "text/jinja/unicode.h"

namespace tenon::text::jinja {

std::vector<std::string_view> split_space(std::string_view text, std::int64_t limit) {
  std::vector<std::string_view> parts;
  text = strip(text, nullptr, true, false);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    std::size_t end = 0;
    for (std::size_t next = 0; end < text.size(); end = next) {
      if (is_space(next_code_point(text, next))) break;
    }
    parts.push_back(text.substr(0, end));
    text = strip(text.substr(end), nullptr, true, false);
  }
  return parts;
}

std::vector<std::string_view> split_space_from_right(std::string_view text, std::int64_t limit) {
  std::vector<std::string_view> parts;
  text = strip(text, nullptr, false, true);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    // The last word begins behind the last white space.
    std::size_t begin = 0;
    for (std::size_t next = 0; next < text.size();) {
      if (is_space(next_code_point(text, next))) begin = next;
    }
    parts.push_back(text.substr(begin));
    text = strip(text.substr(0, begin), nullptr, false, true);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator,
                                       std::int64_t limit, From from) {
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t found = from == From::right ? text.rfind(separator) : text.find(separator);
    if (found == std::string_view::npos) break;
    if (from == From::right) {
      parts.push_back(text.substr(found + separator.size()));
      text = text.substr(0, found);
    } else {
      parts.push_back(text.substr(0, found));
      text = text.substr(found + separator.size());
    }
  }
  parts.push_back(text);
  if (from == From::right) std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace tenon::text::jinja
