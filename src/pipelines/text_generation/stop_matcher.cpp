// Stop strings over text that arrives in pieces.
#include "pipelines/text_generation/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace tenon::pipelines {
namespace {

/// The longest end of `text` that is a proper beginning of `wanted`.
std::size_t overlap(std::string_view text, std::string_view wanted) {
  for (std::size_t size = std::min(text.size(), wanted.size() - 1); size > 0; --size) {
    if (text.ends_with(wanted.substr(0, size))) return size;
  }
  return 0;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stop_strings)
    : stop_strings_(std::move(stop_strings)) {}

std::string StopMatcher::push(std::string_view text) {
  if (matched_) return {};
  held_ += text;
  std::size_t first = std::string::npos;
  std::size_t keep = 0;
  for (const std::string& wanted : stop_strings_) {
    first = std::min(first, held_.find(wanted));
    keep = std::max(keep, overlap(held_, wanted));
  }
  matched_ = first != std::string::npos;
  std::string certain = held_.substr(0, matched_ ? first : held_.size() - keep);
  held_ = matched_ ? std::string() : held_.substr(held_.size() - keep);
  return certain;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace tenon::pipelines
