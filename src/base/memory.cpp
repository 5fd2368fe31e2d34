#include "base/memory.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include <sys/resource.h>

namespace tenon {
namespace {

namespace fs = std::filesystem;

// "max", an absent file and anything else that is no number limit nothing.
std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

// The number behind a key of `key number` lines (with or without a unit).
std::uint64_t field_of(const fs::path& path, const std::string& wanted) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(wanted)) return std::strtoull(line.c_str() + wanted.size(), nullptr, 10);
  }
  return 0;
}

// Pages of files that nobody used lately go first when the group needs room.
std::uint64_t left_in(const fs::path& group) {
  const auto most = number_in(group / "memory.max");
  const auto used = number_in(group / "memory.current");
  if (!most || !used) return std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t reclaimable = field_of(group / "memory.stat", "inactive_file ");
  const std::uint64_t held = *used - std::min(*used, reclaimable);
  return *most - std::min(*most, held);
}

// What a limit of this process leaves of what the line of /proc/self/status counts.
template <typename Resource>
std::uint64_t left_of(Resource resource, const char* used) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t most = limit.rlim_cur;
  return most - std::min(most, field_of("/proc/self/status", used) * 1024);
}

}  // namespace

std::uint64_t available_memory() {
  std::uint64_t available = field_of("/proc/meminfo", "MemAvailable:") * 1024;
  available = std::min(available, left_of(RLIMIT_DATA, "VmData:"));
  available = std::min(available, left_of(RLIMIT_AS, "VmSize:"));
  const fs::path root = "/sys/fs/cgroup";
  std::ifstream own("/proc/self/cgroup");
  std::string line;
  while (std::getline(own, line)) {
    if (!line.starts_with("0::/")) continue;
    fs::path group = root / line.substr(4);
    for (int depth = 0; depth < 64 && group != root; ++depth) {
      available = std::min(available, left_in(group));
      group = group.parent_path();
    }
  }
  return std::min(available, left_in(root));
}

}  // namespace tenon
