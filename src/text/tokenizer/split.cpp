// The five split behaviors, over a list of matching and other parts.
#include "text/tokenizer/split.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::text {
namespace {

struct Part {
  Span span;
  bool match;
};

std::vector<Part> parts_of(std::size_t length, const std::vector<Span>& matches, bool invert) {
  std::vector<Part> parts;
  parts.reserve(2 * matches.size() + 1);
  std::size_t behind = 0;
  for (const Span& match : matches) {
    if (behind != match.begin) parts.push_back({{behind, match.begin}, invert});
    parts.push_back({match, !invert});
    behind = match.end;
  }
  if (behind != length) parts.push_back({{behind, length}, invert});
  return parts;
}

void merge(std::vector<Part>& parts, SplitBehavior behavior) {
  std::vector<Part> merged;
  bool previous = false;
  for (const Part& part : parts) {
    const bool joins =
        !merged.empty() &&
        (behavior == SplitBehavior::contiguous ? part.match == previous : part.match && !previous);
    if (joins) {
      merged.back().span.begin = std::min(merged.back().span.begin, part.span.begin);
      merged.back().span.end = std::max(merged.back().span.end, part.span.end);
    } else {
      merged.push_back(part);
    }
    previous = part.match;
  }
  parts = std::move(merged);
}

}  // namespace

SplitBehavior parse_split_behavior(std::string_view name) {
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  bad_input(
      "split behavior \"{}\" is not supported; known are Removed, Isolated, MergedWithPrevious, "
      "MergedWithNext, Contiguous",
      name);
}

void append_split(const Piece& piece, const std::vector<Span>& matches, SplitBehavior behavior,
                  bool invert, std::vector<Piece>& out) {
  const auto push = [&](const Span& span) {
    if (span.begin == span.end) return;
    out.push_back(
        {piece.begin + span.begin, piece.begin + span.end, piece.at_start && span.begin == 0});
  };
  if (behavior == SplitBehavior::isolated) {  // the commonest, without the list of parts
    std::size_t behind = 0;
    for (const Span& match : matches) {
      push({behind, match.begin});
      push(match);
      behind = match.end;
    }
    push({behind, piece.end - piece.begin});
    return;
  }
  std::vector<Part> parts = parts_of(piece.end - piece.begin, matches, invert);
  const bool backwards = behavior == SplitBehavior::merged_with_next;
  if (backwards) std::reverse(parts.begin(), parts.end());
  if (behavior != SplitBehavior::removed) merge(parts, behavior);
  if (backwards) std::reverse(parts.begin(), parts.end());
  for (const Part& part : parts) {
    if (behavior != SplitBehavior::removed || !part.match) push(part.span);
  }
}

}  // namespace tenon::text
