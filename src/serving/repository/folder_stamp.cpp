#include "serving/repository/folder_stamp.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include <sys/stat.h>

#include "base/error.h"
#include "base/hash.h"

namespace tenon::serving {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 100'000;
constexpr int kMostLevels = 32;

// Symbolic links to folders are followed to a bounded depth: versions are often links.
void collect(const fs::path& path, int level, std::vector<fs::path>& found) {
  if (found.size() >= kMostFiles || level > kMostLevels) {
    bad_input("{}: more than {} files or {} levels of folders", path.string(), kMostFiles,
              kMostLevels);
  }
  found.push_back(path);
  std::error_code error;
  if (!fs::is_directory(path, error)) return;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error))
    collect(entry->path(), level + 1, found);
}

std::vector<fs::path> all_below(const fs::path& path) {
  std::vector<fs::path> found;
  collect(path, 0, found);
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::string folder_stamp(const fs::path& path) {
  std::string all;
  for (const fs::path& one : all_below(path)) {
    struct stat status {};
    if (::stat(one.c_str(), &status) != 0) continue;
    const bool folder = S_ISDIR(status.st_mode);  // its own time changes with what it holds
    all += fmt::format("{}\n{} {} {}.{:09}\n", one.string(), status.st_ino,
                       folder ? 0 : status.st_size, folder ? 0 : status.st_mtim.tv_sec,
                       folder ? 0 : status.st_mtim.tv_nsec);
  }
  return all.empty() ? "" : sha256_hex(std::as_bytes(std::span(all)));
}

double seconds_since_change(const fs::path& path) {
  double newest = 0;
  for (const fs::path& one : all_below(path)) {
    struct stat status {};
    if (::stat(one.c_str(), &status) != 0) continue;
    newest = std::max(newest, static_cast<double>(status.st_mtim.tv_sec) +
                                  static_cast<double>(status.st_mtim.tv_nsec) * 1e-9);
  }
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return now - newest;
}

}  // namespace tenon::serving
