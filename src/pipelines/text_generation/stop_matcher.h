// Stop strings over text that arrives in pieces.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::pipelines {

/// The text of a sequence whose tokens arrive one by one; a streaming detokenizer stands behind it.
class TextStream {
 public:
  virtual ~TextStream() = default;
  /// The text that this token settles: may be empty while a character is incomplete.
  virtual std::string append(std::int32_t id) = 0;
  /// What is left when no more tokens come.
  virtual std::string finish() = 0;
  virtual std::unique_ptr<TextStream> clone() const = 0;
};

/// Lets text through up to the first stop string, and holds back what may become one.
/// A plain value: copies are independent.
class StopMatcher {
 public:
  StopMatcher() = default;
  /// The strings must not be empty.
  explicit StopMatcher(std::vector<std::string> stop_strings);

  /// Text that is certain to be before any stop string. Nothing comes after a match.
  std::string push(std::string_view text);
  /// What was held back, at the end of the text.
  std::string finish();
  bool matched() const { return matched_; }

 private:
  std::vector<std::string> stop_strings_;
  std::string held_;
  bool matched_ = false;
};

}  // namespace tenon::pipelines
