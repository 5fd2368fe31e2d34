#include "kernels/cpu/attention/plan.h"

#include <algorithm>

namespace tenon::kernels::cpu::attention {
namespace {

// A section costs its reading even for one query: worth about as much as the sums of four.
constexpr std::int64_t kReadingCost = 4;

/// The shortest length of which kMaxSections hold that many tokens.
std::int64_t section_length(std::int64_t tokens) {
  std::int64_t length = kShortestSection;
  while (length * kMaxSections < tokens) length *= 2;
  return length;
}

}  // namespace

Tile tile_from(const SequenceSlice& sequence, std::int64_t group, std::int64_t first) {
  const std::int64_t all = sequence.rows * group;
  Tile tile{.first = first, .end = std::min(first + kTileQueries, all)};
  if (first >= all) return {.first = first, .end = first};
  tile.section_tokens = section_length(sequence.context + first / group + 1);
  // Rows from here on need longer sections.
  const std::int64_t longer = tile.section_tokens * kMaxSections - sequence.context;
  tile.end = std::min(tile.end, longer * group);
  tile.tokens = sequence.context + (tile.end - 1) / group + 1;
  return tile;
}

std::int64_t section_cost(const Tile& tile, std::int64_t section) {
  const std::int64_t begin = section * tile.section_tokens;
  const std::int64_t tokens = std::min(tile.tokens - begin, tile.section_tokens);
  return tokens * (tile.count() + kReadingCost);
}

std::int64_t head_cost(const SequenceSlice& sequence, std::int64_t group) {
  std::int64_t cost = 0;
  for (Tile tile = first_tile(sequence, group); tile.first < tile.end;
       tile = next_tile(sequence, group, tile)) {
    cost += tile.tokens * (tile.count() + kReadingCost);
  }
  return cost;
}

}  // namespace tenon::kernels::cpu::attention
