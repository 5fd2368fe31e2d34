// Lookup in the generated table of code point classes.
#include "text/unicode/tables.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>

#include <unicode/uchar.h>

#include "text/tokenizer/utf8.h"

namespace tenon::text {
namespace {

struct Run {
  char32_t first;
  std::uint16_t bits;
};
struct Pair {
  char32_t from;
  char32_t to;
};

// clang-format off
#include "text/unicode/tables.inc"
// clang-format on

constexpr std::size_t kPoints = 0x110000;

// Two stages: blocks of 256 code points, equal blocks stored once.
struct Stages {
  std::array<std::uint16_t, kPoints / 256> block{};
  std::vector<std::array<std::uint16_t, 256>> bits;

  Stages() {
    std::size_t run = 0;
    for (std::size_t begin = 0; begin < kPoints; begin += 256) {
      std::array<std::uint16_t, 256> values{};
      for (std::size_t i = 0; i < 256; ++i) {
        while (run + 1 < std::size(kRuns) && kRuns[run + 1].first <= begin + i) ++run;
        values[i] = kRuns[run].bits;
      }
      const auto found = std::find(bits.begin(), bits.end(), values);
      block[begin / 256] = static_cast<std::uint16_t>(found - bits.begin());
      if (found == bits.end()) bits.push_back(values);
    }
  }
};

const Stages& stages() {
  static const Stages kStages;
  return kStages;
}

template <typename Member>
std::vector<PointRange> collect(Member member) {
  std::vector<PointRange> ranges;
  for (std::size_t run = 0; run < std::size(kRuns); ++run) {
    if (!member(CodePointClass(kRuns[run].bits))) continue;
    const char32_t last =
        run + 1 < std::size(kRuns) ? kRuns[run + 1].first - 1 : static_cast<char32_t>(kPoints - 1);
    if (!ranges.empty() && ranges.back().last + 1 == kRuns[run].first) {
      ranges.back().last = last;
    } else {
      ranges.push_back({kRuns[run].first, last});
    }
  }
  return ranges;
}

}  // namespace

CodePointClass classify(char32_t point) {
  const Stages& table = stages();
  if (point >= kPoints) return CodePointClass(0);
  return CodePointClass(table.bits[table.block[point >> 8]][point & 255U]);
}

bool is_space(char32_t point) {
  if (point < 0x80) return point == ' ' || (point >= '\t' && point <= '\r');
  return point == 0x85 || point == 0xa0 || point == 0x1680 ||
         (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 ||
         point == 0x202f || point == 0x205f || point == 0x3000;
}

void append_lower(std::string& out, char32_t point) {
  if (point == 0x130) {  // the only code point whose lower case is two
    append_utf8(out, 'i');
    append_utf8(out, 0x307);
    return;
  }
  const auto* newer = std::find_if(std::begin(kNewerLower), std::end(kNewerLower),
                                   [&](const Pair& pair) { return pair.from == point; });
  append_utf8(out, newer != std::end(kNewerLower)
                       ? newer->to
                       : static_cast<char32_t>(u_tolower(static_cast<UChar32>(point))));
}

std::vector<PointRange> ranges_where(bool (*member)(CodePointClass)) { return collect(member); }

std::vector<PointRange> ranges_of(std::uint32_t mask) {
  return collect([mask](CodePointClass known) {
    return (mask >> static_cast<unsigned>(known.category()) & 1U) != 0;
  });
}

std::vector<PointRange> newer_ranges(std::uint32_t mask) {
  return collect([mask](CodePointClass known) {
    return known.newer() && (mask >> static_cast<unsigned>(known.category()) & 1U) != 0;
  });
}

}  // namespace tenon::text
