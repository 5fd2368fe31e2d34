// Prompts by number: from a file, or synthetic text of common words.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tenon::traffic {

/// Immutable, any number of threads.
class Prompts {
 public:
  /// `words` words each, different from the first word on, so that no cached prefix helps; but the
  /// first `shared_words` are the same in all of them. The same seed gives the same texts.
  Prompts(std::int64_t words, std::int64_t shared_words, std::uint64_t seed);
  /// The lines of a file in turn: plain text, a JSON string, or a JSON object with "prompt",
  /// "text_input" or "text". Error(bad_input) when there is none, or for a file beyond 256 MiB.
  static Prompts read(const std::filesystem::path& path);

  std::string text(std::size_t index) const;
  bool synthetic() const noexcept { return lines_.empty(); }
  std::int64_t words() const noexcept { return words_; }
  std::size_t lines() const noexcept { return lines_.size(); }

 private:
  Prompts() = default;
  std::int64_t words_ = 0;
  std::int64_t shared_words_ = 0;
  std::uint64_t seed_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace tenon::traffic
