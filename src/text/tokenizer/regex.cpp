// Matching through PCRE2's just-in-time compiler, bounded in steps and in time.
#include "text/tokenizer/regex.h"

#include <algorithm>
#include <array>
#include <chrono>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text {
namespace {

constexpr std::uint32_t kMatchLimit = 4'000'000;
constexpr std::uint32_t kDepthLimit = 100'000;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;
constexpr std::size_t kStackBytes = std::size_t{1} << 20;
constexpr std::size_t kWindow = 4096;  // starts tried between two looks at the clock
constexpr std::size_t kMaxSource = 64 * 1024;
constexpr double kSeconds = 10;
constexpr double kSlowestBytesPerSecond = 200e3;

// What a match writes to; one for each thread, kept for its life.
struct Scratch {
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 * 1024, kStackBytes, nullptr);

  Scratch() {
    if (context == nullptr || data == nullptr || stack == nullptr) throw std::bad_alloc();
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_depth_limit(context, kDepthLimit);
    pcre2_set_heap_limit(context, kHeapLimitKib);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    pcre2_jit_stack_free(stack);
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
};

Scratch& scratch() {
  thread_local Scratch own;
  return own;
}

std::string message_of(int code) {
  std::array<PCRE2_UCHAR8, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

std::string shortened(std::string_view text) {
  return std::string(text.substr(0, 120)) + (text.size() > 120 ? "..." : "");
}

class Deadline {
 public:
  explicit Deadline(std::size_t bytes)
      : end_(std::chrono::steady_clock::now() +
             std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                 std::chrono::duration<double>(kSeconds + static_cast<double>(bytes) /
                                                              kSlowestBytesPerSecond))) {}
  bool passed() const { return std::chrono::steady_clock::now() > end_; }

 private:
  std::chrono::steady_clock::time_point end_;
};

std::size_t behind_character(std::string_view text, std::size_t at) {
  if (at < text.size()) next_point(text, at);
  return at;
}

std::vector<Span> find_literal(std::string_view text, std::string_view wanted) {
  std::vector<Span> found;
  if (wanted.empty()) return found;
  for (std::size_t at = text.find(wanted); at != std::string_view::npos;
       at = text.find(wanted, at + wanted.size())) {
    found.push_back({at, at + wanted.size()});
  }
  return found;
}

}  // namespace

struct Pattern::Compiled {
  std::string source;
  pcre2_code* code = nullptr;

  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() { pcre2_code_free(code); }

  // The first match that starts at or behind `from`.
  bool find(std::string_view text, std::size_t from, const Deadline& deadline, Span& found) const;
};

Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Pattern Pattern::regex(std::string_view source) {
  if (source.size() > kMaxSource) {
    bad_input("a regular expression has {} bytes, at most {} are read", source.size(), kMaxSource);
  }
  const std::string translated = translate_regex(source);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Pattern pattern;
  pattern.compiled_ = std::make_unique<Compiled>();
  pattern.compiled_->source = source;
  pattern.compiled_->code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR8>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C,
      &error, &offset, nullptr);
  if (pattern.compiled_->code == nullptr) {
    bad_input("\"{}\" is not a valid regular expression: {}", shortened(source), message_of(error));
  }
  // Without the compiler (a system that forbids it) the interpreter gives the same matches.
  pcre2_jit_compile(pattern.compiled_->code, PCRE2_JIT_COMPLETE);
  return pattern;
}

bool Pattern::Compiled::find(std::string_view text, std::size_t from, const Deadline& deadline,
                             Span& found) const {
  Scratch& own = scratch();
  for (std::size_t start = from; start <= text.size();) {
    const std::size_t window_end = std::min(text.size(), start + kWindow);
    pcre2_set_offset_limit(own.context, window_end);
    const int result = pcre2_match(code, reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(),
                                   start, PCRE2_NO_UTF_CHECK, own.data, own.context);
    if (result >= 0) {
      const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(own.data);
      found = {ends[0], ends[1]};
      return true;
    }
    if (result != PCRE2_ERROR_NOMATCH) {
      bad_input("the regular expression \"{}\" does not finish on a text of {} bytes: {}",
                shortened(source), text.size(), message_of(result));
    }
    if (window_end == text.size()) return false;
    if (deadline.passed()) {
      bad_input("the regular expression \"{}\" takes too long on a text of {} bytes",
                shortened(source), text.size());
    }
    start = window_end;
    while (start < text.size() && (static_cast<unsigned char>(text[start]) & 0xc0U) == 0x80) {
      ++start;
    }
  }
  return false;
}

std::vector<Span> Pattern::find_all(std::string_view text) const {
  if (compiled_ == nullptr) return find_literal(text, literal_);
  std::vector<Span> found;
  const Deadline deadline(text.size());
  std::size_t from = 0;
  Span match{};
  while (from <= text.size() && compiled_->find(text, from, deadline, match)) {
    const bool empty = match.begin == match.end;
    // An empty match right behind another match is not one.
    if (!empty || found.empty() || found.back().end != match.begin) found.push_back(match);
    if (empty && match.end == text.size()) break;
    from = empty ? behind_character(text, match.end) : match.end;
    if (found.size() % 65536 == 0 && deadline.passed()) {
      bad_input("the regular expression \"{}\" takes too long on a text of {} bytes",
                shortened(compiled_->source), text.size());
    }
  }
  return found;
}

std::string Pattern::replace_all(std::string_view text, std::string_view content) const {
  std::string out;
  out.reserve(text.size());
  std::size_t copied = 0;
  for (const Span& match : find_all(text)) {
    out += text.substr(copied, match.begin - copied);
    out += content;
    copied = match.end;
  }
  out += text.substr(copied);
  return out;
}

}  // namespace tenon::text
