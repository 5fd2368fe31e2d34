// The limits of one rendering: a template is outside input, so its steps, memory and depth are
// counted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"

namespace tenon::text::jinja {

inline constexpr std::size_t kMaxSource = 4u << 20;       // bytes of template text
inline constexpr int kMaxNesting = 200;                   // brackets and blocks in the source
inline constexpr int kMaxTreeDepth = 400;                 // of the parsed template
inline constexpr int kMaxCallDepth = 1000;                // nested evaluations, macros included
inline constexpr int kMaxValueDepth = 200;                // lists and mappings in each other
inline constexpr std::int64_t kMaxRange = 100'000;        // as the sandbox of Jinja2
inline constexpr std::uint64_t kMaxSteps = 10'000'000;    // evaluated nodes and touched items
inline constexpr std::uint64_t kMaxBytes = 512ull << 20;  // of all values ever made
inline constexpr std::size_t kMaxOutput = std::size_t{64} << 20;  // bytes of rendered text

/// Counts down what one rendering may use; throws Error(bad_input) when it is spent.
class Budget {
 public:
  void step(std::uint64_t count = 1) {
    steps_ += count;
    if (steps_ > kMaxSteps) {
      bad_input("the chat template takes more than {} steps; is a loop endless?", kMaxSteps);
    }
  }
  /// Before `bytes` are allocated for a value.
  void allocate(std::uint64_t bytes) {
    if (bytes > kMaxBytes || (bytes_ += bytes) > kMaxBytes) {
      bad_input("the chat template makes more than {} MiB of values", kMaxBytes >> 20);
    }
    step(1 + bytes / 256);
  }
  /// Before `wanted` bytes are searched in `size` bytes: the plain search takes their product.
  void search(std::uint64_t size, std::uint64_t wanted) { step(1 + size / 64 * (1 + wanted / 16)); }

 private:
  std::uint64_t steps_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace tenon::text::jinja
