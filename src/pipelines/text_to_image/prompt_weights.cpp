#include "pipelines/text_to_image/prompt_weights.h"

#include <charconv>
#include <optional>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

constexpr double kStep = 1.1;
constexpr std::size_t kMaxDepth = 1000;
constexpr double kMaxWeight = 100;
constexpr std::size_t kMaxNumber = 64;  // characters of a weight, so that a row of colons is linear
constexpr std::string_view kSpaces = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

class Parser {
 public:
  explicit Parser(std::string_view prompt) : rest_(prompt) {}

  std::vector<WeightedText> parse() {
    while (!rest_.empty()) step();
    // What was never closed weighs to the end.
    while (!round_.empty()) close(round_, kStep);
    while (!square_.empty()) close(square_, 1 / kStep);
    return joined();
  }

 private:
  void step() {
    const char c = rest_.front();
    if (c == '\\' && rest_.size() > 1 && std::string_view("()[]\\").find(rest_[1]) != rest_.npos) {
      add(rest_.substr(1, 1));
      rest_.remove_prefix(2);
      return;
    }
    if (c == '(' || c == '[') {
      open(c == '(' ? round_ : square_);
    } else if (c == ')' && !round_.empty()) {
      close(round_, kStep);
    } else if (c == ']' && !square_.empty()) {
      close(square_, 1 / kStep);
    } else if (c == ':' && !round_.empty() && weight()) {
      return;
    } else {
      const std::size_t plain = rest_.find_first_of("\\()[]:", 1);
      const std::size_t length = plain == std::string_view::npos ? rest_.size() : plain;
      add(rest_.substr(0, length));
      rest_.remove_prefix(length);
      return;
    }
    rest_.remove_prefix(1);
  }

  void open(std::vector<std::size_t>& stack) {
    if (round_.size() + square_.size() >= kMaxDepth) {
      fail(ErrorCode::usage, "the prompt opens more than {} brackets at once", kMaxDepth);
    }
    stack.push_back(parts_.size());
  }

  void close(std::vector<std::size_t>& stack, double factor) {
    for (std::size_t i = stack.back(); i < parts_.size(); ++i) parts_[i].weight *= factor;
    stack.pop_back();
  }

  // `:1.3)` closes the innermost round bracket with that weight.
  bool weight() {
    const std::size_t end = rest_.substr(0, kMaxNumber).find(')');
    if (end == std::string_view::npos) return false;
    std::string_view text = trimmed(rest_.substr(1, end - 1));
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0;
    const auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || last != text.data() + text.size()) return false;
    if (!(value >= 0 && value <= kMaxWeight)) {
      fail(ErrorCode::usage, "the prompt has the weight {}; expected 0 to {}", text, kMaxWeight);
    }
    close(round_, value);
    rest_.remove_prefix(end + 1);
    return true;
  }

  void add(std::string_view text) { parts_.push_back({std::string(text), 1}); }

  std::vector<WeightedText> joined() {
    std::vector<WeightedText> out;
    for (auto& part : parts_) {
      if (!out.empty() && out.back().weight == part.weight) {
        out.back().text += part.text;
      } else {
        out.push_back(std::move(part));
      }
    }
    if (out.empty()) out.emplace_back();
    return out;
  }

  std::string_view rest_;
  std::vector<WeightedText> parts_;
  std::vector<std::size_t> round_;
  std::vector<std::size_t> square_;
};

}  // namespace

std::vector<WeightedText> parse_prompt_weights(std::string_view prompt) {
  return Parser(prompt).parse();
}

}  // namespace tenon::pipelines
