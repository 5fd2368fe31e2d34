#include "checkpoint/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tenon::checkpoint {
namespace {

// Bounds the work on a hostile file of many long names: 5,000 x 160^2 steps at most.
constexpr std::size_t kMaxCompared = 5000;
constexpr std::size_t kMaxCharacters = 160;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> nearest_names(std::string_view wanted,
                                       const std::vector<std::string>& names, std::size_t count) {
  wanted = wanted.substr(0, kMaxCharacters);
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxCompared); ++i) {
    const std::string_view name = std::string_view(names[i]).substr(0, kMaxCharacters);
    const std::size_t distance = edit_distance(wanted, name);
    if (distance * 2 <= std::max(wanted.size(), name.size())) near.emplace_back(distance, names[i]);
  }
  std::sort(near.begin(), near.end());
  std::vector<std::string> chosen;
  for (std::size_t i = 0; i < std::min(count, near.size()); ++i) {
    chosen.emplace_back(near[i].second);
  }
  return chosen;
}

}  // namespace tenon::checkpoint
