// Brownian motion by bisection: the middle of an interval is drawn given its ends (Levy's bridge),
// with a generator seeded by the place in the tree.
#include "pipelines/text_to_image/schedulers/brownian_tree.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <span>

#include <fmt/core.h>

#include "pipelines/text_to_image/torch_random.h"

namespace tenon::pipelines {
namespace {

constexpr std::size_t kPool = 24;
using Words = std::vector<std::uint32_t>;

/// Correctly rounded to six decimals, as Python's round().
double rounded(double time) { return std::strtod(fmt::format("{:.6f}", time).c_str(), nullptr); }

/// numpy.random.SeedSequence (after O'Neill's seed_seq_fe): words of entropy mixed into a pool.
class SeedSequence {
 public:
  explicit SeedSequence(const Words& entropy) {
    for (std::size_t i = 0; i < kPool; ++i) pool_[i] = hashed(i < entropy.size() ? entropy[i] : 0);
    for (std::size_t from = 0; from < kPool; ++from) {
      for (std::size_t to = 0; to < kPool; ++to) {
        if (from != to) pool_[to] = mixed(pool_[to], hashed(pool_[from]));
      }
    }
    for (std::size_t from = kPool; from < entropy.size(); ++from) {
      for (std::uint32_t& word : pool_) word = mixed(word, hashed(entropy[from]));
    }
  }

  /// The first word of generate_state.
  std::uint32_t first_word() const {
    constexpr std::uint32_t kInit = 0x8B51F9DD;
    constexpr std::uint32_t kMultiply = 0x58F38DED;
    std::uint32_t word = pool_[0] ^ kInit;
    word *= kInit * kMultiply;
    return word ^ (word >> 16);
  }

 private:
  std::uint32_t hashed(std::uint32_t value) {
    value ^= hash_;
    hash_ *= 0x931E8875U;
    value *= hash_;
    return value ^ (value >> 16);
  }

  static std::uint32_t mixed(std::uint32_t x, std::uint32_t y) {
    const std::uint32_t result = 0xCA01F9DDU * x - 0x4973F715U * y;
    return result ^ (result >> 16);
  }

  std::uint32_t hash_ = 0x43B0D7E5;
  std::array<std::uint32_t, kPool> pool_{};
};

/// An integer as numpy splits it: 32 bits at a time, the lowest first, at least one word.
void append_words(std::uint64_t value, Words& words) {
  do {
    words.push_back(static_cast<std::uint32_t>(value));
    value >>= 32;
  } while (value != 0);
}

std::uint32_t root_seed(std::uint64_t entropy) {
  Words words;
  append_words(entropy, words);
  return SeedSequence(words).first_word();
}

std::uint32_t node_seed(std::uint64_t entropy, std::uint64_t key, std::uint64_t depth) {
  Words words;
  append_words(entropy, words);
  words.resize(kPool);  // a spawn key follows entropy that fills the pool
  append_words(key, words);
  append_words(depth, words);
  return SeedSequence(words).first_word();
}

}  // namespace

struct BrownianTree::Node {
  double start;
  double end;
  std::uint64_t key;  // path from the root: a bit a turn, 1 to the right
  std::uint64_t depth;
  std::vector<float> increment;
};

BrownianTree::BrownianTree(double start, double end, std::uint64_t seed, std::size_t size)
    : start_(rounded(start)), end_(rounded(end)), length_(end - start), seed_(seed), size_(size) {}

std::vector<float> BrownianTree::normals(std::uint32_t seed) const {
  std::vector<float> values(size_);
  TorchGenerator(seed).randn(std::span<float>(values));
  return values;
}

std::vector<float> BrownianTree::increment(double from, double to) const {
  std::vector<float> sum(size_);
  from = rounded(std::clamp(from, start_, end_));
  to = rounded(std::clamp(to, start_, end_));
  if (from >= to) return sum;
  Node root{start_, end_, 0, 0, normals(root_seed(seed_))};
  const auto deviation = static_cast<float>(std::sqrt(length_));
  for (float& value : root.increment) value *= deviation;
  collect(root, from, to, sum);
  return sum;
}

void BrownianTree::collect(const Node& node, double from, double to,
                           std::vector<float>& sum) const {
  constexpr std::uint64_t kDeepest = 62;  // the key has 64 bits
  const double middle = rounded(0.5 * (node.end + node.start));
  const bool whole = from <= node.start && to >= node.end;
  if (whole || middle <= node.start || middle >= node.end || node.depth >= kDeepest) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += node.increment[i];
    return;
  }
  const double left_length = middle - node.start;
  const double right_length = node.end - middle;
  const double reciprocal = 1 / (node.end - node.start);
  const auto share = static_cast<float>(left_length);
  const auto deviation = static_cast<float>(std::sqrt(left_length * right_length * reciprocal));
  Node left{node.start, middle, 2 * node.key, node.depth + 1,
            normals(node_seed(seed_, node.key, node.depth))};
  Node right{middle, node.end, 2 * node.key + 1, node.depth + 1, std::vector<float>(size_)};
  for (std::size_t i = 0; i < size_; ++i) {
    const float mean = share * node.increment[i] * static_cast<float>(reciprocal);
    left.increment[i] = mean + deviation * left.increment[i];
    right.increment[i] = node.increment[i] - left.increment[i];
  }
  if (from < middle) collect(left, from, std::min(to, middle), sum);
  if (to > middle) collect(right, std::max(from, middle), to, sum);
}

}  // namespace tenon::pipelines
