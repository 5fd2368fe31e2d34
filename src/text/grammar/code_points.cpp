// Sets of scalar values as sorted ranges.
#include "text/grammar/code_points.h"

#include <algorithm>
#include <array>

#include "text/tokenizer/utf8.h"

namespace tenon::text::grammar {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr char32_t kSurrogateFirst = 0xD800;
constexpr char32_t kSurrogateLast = 0xDFFF;

// One range whose ends have the same length in UTF-8: split until each byte runs free of the
// others.
void split_same_length(char32_t first, char32_t last, std::vector<ByteSequence>& out) {
  std::string low;
  std::string high;
  append_utf8(low, first);
  append_utf8(high, last);
  for (std::size_t tail = 1; tail < low.size(); ++tail) {
    const char32_t mask = (char32_t{1} << (6 * tail)) - 1;
    if ((first & ~mask) == (last & ~mask)) break;
    if ((first & mask) != 0) {
      split_same_length(first, first | mask, out);
      return split_same_length((first | mask) + 1, last, out);
    }
    if ((last & mask) != mask) {
      split_same_length(first, (last & ~mask) - 1, out);
      return split_same_length(last & ~mask, last, out);
    }
  }
  ByteSequence sequence;
  for (std::size_t i = 0; i < low.size(); ++i) {
    sequence.push_back({static_cast<std::uint8_t>(low[i]), static_cast<std::uint8_t>(high[i])});
  }
  out.push_back(std::move(sequence));
}

}  // namespace

CodePoints::CodePoints(std::vector<CodePointRange> ranges) {
  std::vector<CodePointRange> parts;
  for (const auto& [first, last] : ranges) {
    const char32_t end = std::min(last, kLast);
    if (first > end) continue;
    if (first < kSurrogateFirst)
      parts.push_back({first, std::min(end, static_cast<char32_t>(kSurrogateFirst - 1))});
    if (end > kSurrogateLast)
      parts.push_back({std::max(first, static_cast<char32_t>(kSurrogateLast + 1)), end});
  }
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.last < b.last;
  });
  for (const CodePointRange& part : parts) {
    if (!ranges_.empty() && part.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, part.last);
    } else {
      ranges_.push_back(part);
    }
  }
}

CodePoints CodePoints::complement() const {
  std::vector<CodePointRange> rest;
  char32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (first > next) rest.push_back({next, first - 1});
    next = last + 1;
  }
  if (next <= kLast) rest.push_back({next, kLast});
  return CodePoints(std::move(rest));
}

CodePoints CodePoints::unite(const CodePoints& other) const {
  std::vector<CodePointRange> both = ranges_;
  both.insert(both.end(), other.ranges_.begin(), other.ranges_.end());
  return CodePoints(std::move(both));
}

CodePoints CodePoints::without(const CodePoints& other) const {
  return complement().unite(other).complement();
}

bool CodePoints::contains(char32_t point) const {
  const auto place = std::lower_bound(
      ranges_.begin(), ranges_.end(), point,
      [](const CodePointRange& range, char32_t value) { return range.last < value; });
  return place != ranges_.end() && place->first <= point;
}

std::vector<ByteSequence> utf8_sequences(const CodePoints& points) {
  constexpr std::array<char32_t, 4> kLengthEnds = {0x7F, 0x7FF, 0xFFFF, kLast};
  std::vector<ByteSequence> out;
  for (const auto& [first, last] : points.ranges()) {
    char32_t from = first;
    for (const char32_t end : kLengthEnds) {
      if (from > end || from > last) continue;
      split_same_length(from, std::min(last, end), out);
      from = end + 1;
    }
  }
  return out;
}

}  // namespace tenon::text::grammar
