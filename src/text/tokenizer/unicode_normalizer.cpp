// NFC, NFD, NFKC and NFKD through ICU, limited to the code points that the reference knows.
#include "text/tokenizer/unicode_normalizer.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <unicode/unorm2.h>
#include <unicode/uset.h>
#include <unicode/ustring.h>

#include "base/error.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text {
namespace {

constexpr std::size_t kLongRun = 32;

void check(UErrorCode status, std::string_view what) {
  if (U_FAILURE(status)) {
    fail(ErrorCode::resource, "Unicode normalization: {} failed: {}", what, u_errorName(status));
  }
}

const USet* known_points() {
  static const USet* const kSet = [] {
    UErrorCode status = U_ZERO_ERROR;
    USet* set = uset_openPattern(u"[:Age=9.0:]", -1, &status);
    check(status, "opening the set of code points");
    uset_freeze(set);
    return set;
  }();
  return kSet;
}

const UNormalizer2* instance_of(std::string_view form) {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* whole = form == "NFC"    ? unorm2_getNFCInstance(&status)
                              : form == "NFD"  ? unorm2_getNFDInstance(&status)
                              : form == "NFKC" ? unorm2_getNFKCInstance(&status)
                                               : unorm2_getNFKDInstance(&status);
  check(status, "opening the tables");
  return whole;
}

std::u16string to_utf16(std::string_view text) {
  std::u16string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t point = next_point(text, at);
    if (point < 0x10000) {
      out.push_back(static_cast<char16_t>(point));
    } else {
      out.push_back(static_cast<char16_t>(0xd7c0 + (point >> 10)));
      out.push_back(static_cast<char16_t>(0xdc00 + (point & 0x3ff)));
    }
  }
  return out;
}

std::string to_utf8(std::u16string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char32_t point = text[i];
    if (point >= 0xd800 && point < 0xdc00 && i + 1 < text.size()) {
      point = ((point - 0xd7c0) << 10) + (text[++i] - 0xdc00U);
    }
    append_utf8(out, point);
  }
  return out;
}

class UnicodeNormalizer : public Normalizer {
 public:
  explicit UnicodeNormalizer(std::string_view form) : whole_(instance_of(form)) {
    UErrorCode status = U_ZERO_ERROR;
    filtered_ = unorm2_openFiltered(whole_, known_points(), &status);
    check(status, "opening the tables");
  }
  UnicodeNormalizer(const UnicodeNormalizer&) = delete;
  UnicodeNormalizer& operator=(const UnicodeNormalizer&) = delete;
  ~UnicodeNormalizer() override { unorm2_close(filtered_); }

  void apply(std::string& text) const override {
    const bool ascii =
        std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
    if (ascii) return;
    sort_long_runs(text);
    const std::u16string source = to_utf16(text);
    constexpr std::size_t kLargestExpansion = 18;  // U+FDFA in NFKD
    if (source.size() >= std::numeric_limits<std::int32_t>::max() / kLargestExpansion) {
      bad_input("a text of {} bytes is too long to be normalized", text.size());
    }
    std::u16string out(source.size() + 64, u'\0');
    const auto run = [&](UErrorCode& status) {
      return unorm2_normalize(filtered_, source.data(), static_cast<std::int32_t>(source.size()),
                              out.data(), static_cast<std::int32_t>(out.size()), &status);
    };
    UErrorCode status = U_ZERO_ERROR;
    std::int32_t length = run(status);
    if (status == U_BUFFER_OVERFLOW_ERROR) {
      out.resize(static_cast<std::size_t>(length) + 1);
      status = U_ZERO_ERROR;
      length = run(status);
    }
    check(status, "normalizing");
    text = to_utf8(std::u16string_view(out).substr(0, static_cast<std::size_t>(length)));
  }

 private:
  unsigned combining_class(char32_t point) const {
    const auto code = static_cast<UChar32>(point);
    return uset_contains(known_points(), code) != 0 ? unorm2_getCombiningClass(whole_, code) : 0;
  }

  // ICU orders marks by insertion, quadratic in their number; a sorted run is canonically the same
  // text and costs it nothing.
  void sort_long_runs(std::string& text) const {
    std::vector<std::pair<unsigned, char32_t>> run;
    std::size_t begin = 0;
    const auto flush = [&](std::size_t end) {
      if (run.size() > kLongRun) {
        std::stable_sort(run.begin(), run.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
        std::string sorted;
        for (const auto& mark : run) append_utf8(sorted, mark.second);
        text.replace(begin, end - begin, sorted);
      }
      run.clear();
    };
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t start = at;
      const char32_t point = next_point(text, at);
      const unsigned order = point < 0x300 ? 0 : combining_class(point);
      if (order == 0) {
        flush(start);
      } else {
        if (run.empty()) begin = start;
        run.emplace_back(order, point);
      }
    }
    flush(text.size());
  }

  const UNormalizer2* whole_;
  UNormalizer2* filtered_ = nullptr;
};

}  // namespace

std::unique_ptr<Normalizer> make_unicode_normalizer(std::string_view form) {
  return std::make_unique<UnicodeNormalizer>(form);
}

}  // namespace tenon::text
