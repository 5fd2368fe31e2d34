#include "session/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace tenon::session {

MemoryPlan plan_memory(std::span<const Lifetime> lifetimes) {
  constexpr std::size_t kAlignment = 64;
  MemoryPlan plan;
  plan.offsets.assign(lifetimes.size(), 0);
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return lifetimes[a].bytes > lifetimes[b].bytes;
  });
  std::vector<std::size_t> placed;  // sorted by offset
  for (const std::size_t index : order) {
    const Lifetime& item = lifetimes[index];
    const std::size_t size = (item.bytes + kAlignment - 1) / kAlignment * kAlignment;
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      const Lifetime& rival = lifetimes[other];
      if (rival.last < item.first || item.last < rival.first) continue;
      if (plan.offsets[other] >= offset + size) break;
      offset = std::max(
          offset, plan.offsets[other] + (rival.bytes + kAlignment - 1) / kAlignment * kAlignment);
    }
    plan.offsets[index] = offset;
    plan.bytes = std::max(plan.bytes, offset + size);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), index,
                                   [&](std::size_t a, std::size_t b) {
                                     return plan.offsets[a] < plan.offsets[b];
                                   }),
                  index);
  }
  return plan;
}

}  // namespace tenon::session
