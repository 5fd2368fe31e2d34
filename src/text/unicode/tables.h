// What the reference tokenizers believe about a code point: category and character classes, of the
// Unicode versions that they were built with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tenon::text {

/// General categories in the order of the generated table.
enum class Category : std::uint8_t {
  Cn,
  Lu,
  Ll,
  Lt,
  Lm,
  Lo,
  Mn,
  Mc,
  Me,
  Nd,
  Nl,
  No,
  Pc,
  Pd,
  Ps,
  Pe,
  Pi,
  Pf,
  Po,
  Sm,
  Sc,
  Sk,
  So,
  Zs,
  Zl,
  Zp,
  Cc,
  Cf,
  Cs,
  Co
};
inline constexpr int kCategories = 30;

/// Classes of a code point below 0x110000; constant time.
class CodePointClass {
 public:
  explicit CodePointClass(std::uint16_t bits) : bits_(bits) {}
  Category category() const { return static_cast<Category>(bits_ & 31U); }
  bool regex_word() const { return (bits_ >> 5 & 1U) != 0; }   ///< \w of the pattern language
  bool word() const { return (bits_ >> 6 & 1U) != 0; }         ///< \w of Whitespace, single_word
  bool accent() const { return (bits_ >> 7 & 1U) != 0; }       ///< removed by StripAccents
  bool punctuation() const { return (bits_ >> 8 & 1U) != 0; }  ///< split by Punctuation
  bool numeric() const { return (bits_ >> 9 & 1U) != 0; }      ///< split by Digits
  /// Its category is not that of Unicode 14, the version of the regex library.
  bool newer() const { return (bits_ >> 10 & 1U) != 0; }

 private:
  std::uint16_t bits_;
};

CodePointClass classify(char32_t point);
bool is_space(char32_t point);

/// Appends the lower case of `point`, without context, as UTF-8.
void append_lower(std::string& out, char32_t point);

/// Code points first to last, both included.
struct PointRange {
  char32_t first;
  char32_t last;
};
/// All code points for which `member` holds, in order. Walks the table: for load time.
std::vector<PointRange> ranges_where(bool (*member)(CodePointClass));
/// The same for those of a category in `mask` (bit = Category).
std::vector<PointRange> ranges_of(std::uint32_t mask);
/// The same for those of them that are newer().
std::vector<PointRange> newer_ranges(std::uint32_t mask);

}  // namespace tenon::text
