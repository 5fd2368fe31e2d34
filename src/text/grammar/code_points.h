// Sets of Unicode scalar values, and their spelling as ranges of UTF-8 bytes.
#pragma once

#include <cstdint>
#include <vector>

namespace tenon::text::grammar {

struct CodePointRange {
  char32_t first;
  char32_t last;  ///< belongs to the range
};

/// Sorted, disjoint ranges; surrogates never belong to it.
class CodePoints {
 public:
  CodePoints() = default;
  /// Any order, overlaps allowed; what is beyond U+10FFFF is dropped.
  explicit CodePoints(std::vector<CodePointRange> ranges);
  static CodePoints all() { return CodePoints({{0, 0x10FFFF}}); }

  CodePoints complement() const;
  CodePoints unite(const CodePoints& other) const;
  CodePoints without(const CodePoints& other) const;
  bool contains(char32_t point) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<CodePointRange>& ranges() const { return ranges_; }

 private:
  std::vector<CodePointRange> ranges_;
};

struct ByteRange {
  std::uint8_t low;
  std::uint8_t high;
  bool operator==(const ByteRange&) const = default;
};
using ByteSequence = std::vector<ByteRange>;

/// Sequences of one to four byte ranges; a text is one of them when its character is in the range.
std::vector<ByteSequence> utf8_sequences(const CodePoints& points);

}  // namespace tenon::text::grammar
