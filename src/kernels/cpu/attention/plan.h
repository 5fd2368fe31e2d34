// How the work of one cached attention step is cut: into tiles of queries, tiles into sections of
// the context, and the lot into one contiguous share a thread.
//
// A query's sections depend on its position alone, and its sections are merged from first to last:
// so its result has the same bits whatever else is in the batch, however rows are cut into chunks,
// and on any number of threads. Shares are balanced by the tokens each section really reads.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention/tile.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::attention {

inline constexpr std::int64_t kShortestSection = 128;  ///< a multiple of kBlockTokens
inline constexpr std::int64_t kMaxSections = 16;

/// Queries [first, end) of one sequence and kv head, in the order row * group + head of the group.
/// All have the same length of section.
struct Tile {
  std::int64_t first = 0, end = 0;
  std::int64_t section_tokens = kShortestSection;
  std::int64_t tokens = 0;  ///< that the last query sees
  std::int64_t sections() const { return (tokens + section_tokens - 1) / section_tokens; }
  int count() const { return static_cast<int>(end - first); }
};

/// The tiles of a sequence are the same for each kv head. Iterate:
///   for (Tile t = first_tile(s, group); t.first < t.end; t = next_tile(s, group, t))
Tile tile_from(const SequenceSlice& sequence, std::int64_t group, std::int64_t first);
inline Tile first_tile(const SequenceSlice& sequence, std::int64_t group) {
  return tile_from(sequence, group, 0);
}
inline Tile next_tile(const SequenceSlice& sequence, std::int64_t group, const Tile& tile) {
  return tile_from(sequence, group, tile.end);
}

/// Time that a section takes, in arbitrary units.
std::int64_t section_cost(const Tile& tile, std::int64_t section);
/// Of all tiles of one kv head.
std::int64_t head_cost(const SequenceSlice& sequence, std::int64_t group);

/// The sections [begin, end) of a tile that begin in one member's share.
struct TileShare {
  const SequenceSlice& sequence;
  std::int64_t kv_head;
  Tile tile;
  std::int64_t begin, end;
  int owner;  ///< the member whose share has section 0

  bool whole() const { return begin == 0 && end == tile.sections(); }
};

/// The total cost cut into `members` equal ranges.
struct Shares {
  std::int64_t total;
  int members;
  std::int64_t bound(int member) const {
    return total / members * member + total % members * member / members;
  }
  int owner(std::int64_t at, int member) const {
    while (bound(member) > at) --member;
    return member;
  }
};

/// Calls visit(TileShare) for each tile that has sections in member's share, in order.
template <typename Visit>
void visit_share(const RaggedBatch& batch, std::int64_t kv_heads, std::int64_t group, int member,
                 int members, Visit&& visit) {
  Shares shares{0, members};
  for (const auto& sequence : batch.sequences) {
    shares.total += kv_heads * head_cost(sequence, group);
  }
  const std::int64_t low = shares.bound(member);
  const std::int64_t high = shares.bound(member + 1);
  std::int64_t at = 0;
  for (const auto& sequence : batch.sequences) {
    const std::int64_t cost = head_cost(sequence, group);
    for (std::int64_t head = 0; head < kv_heads; ++head) {
      if (at >= high) return;
      if (at + cost <= low) {
        at += cost;
        continue;
      }
      for (Tile tile = first_tile(sequence, group); tile.first < tile.end;
           tile = next_tile(sequence, group, tile)) {
        const std::int64_t start = at;
        std::int64_t begin = 0;
        std::int64_t end = 0;
        for (std::int64_t section = 0; section < tile.sections(); ++section) {
          if (at < low) begin = section + 1;
          if (at < high) end = section + 1;
          at += section_cost(tile, section);
        }
        if (begin < end) {
          visit(TileShare{sequence, head, tile, begin, end, shares.owner(start, member)});
        }
      }
    }
  }
}

}  // namespace tenon::kernels::cpu::attention
