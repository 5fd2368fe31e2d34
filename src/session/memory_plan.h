// Places values with known lifetimes into one arena, as low as they go.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tenon::session {

/// Alive from step `first` to step `last`, both included.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  ///< one a lifetime, 64-byte aligned
  std::size_t bytes = 0;             ///< of the arena
};

/// Largest first, each at the lowest offset where nothing alive at the same time lies.
MemoryPlan plan_memory(std::span<const Lifetime> lifetimes);

}  // namespace tenon::session
