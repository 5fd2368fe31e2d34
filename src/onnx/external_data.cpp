#include "onnx/external_data.h"

#include <cerrno>
#include <cstring>
#include <iterator>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace tenon::onnx {

namespace fs = std::filesystem;

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void refuse(const std::string& location, const std::string& why) {
  Error error(ErrorCode::bad_input, fmt::format("external data \"{}\" {}", location, why));
  throw error.hint("put the file itself into the folder of the model");
}

void check_location(const std::string& location) {
  constexpr std::size_t kLongest = 4096;
  const fs::path path(location);
  bool plain = !location.empty() && location.size() < kLongest && path.is_relative() &&
               location.find('\\') == std::string::npos &&
               location.find('\0') == std::string::npos &&
               !(location.size() > 1 && location[1] == ':');
  for (const fs::path& part : path) plain = plain && part != ".." && !part.empty();
  if (!plain) {
    bad_input("external data \"{}\" is not a relative path beneath the model's folder",
              location.substr(0, 200));
  }
}

// Part by part from the folder's descriptor, following no link, so that no swap of names in between
// can lead outside. -1 with errno set; ELOOP for a link anywhere.
int open_beneath(const fs::path& folder, const std::string& location) {
  int at = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) bad_input("{}: cannot be opened: {}", folder.string(), std::strerror(errno));
  const fs::path path(location);
  for (auto part = path.begin(); part != path.end(); ++part) {
    const bool last = std::next(part) == path.end();
    const Descriptor level(at);
    const int kind = last ? O_NONBLOCK | O_NOCTTY : O_DIRECTORY;
    at = ::openat(level.get(), part->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | kind);
    if (at >= 0) continue;
    struct stat status {};
    const int code = errno;
    const bool link = ::fstatat(level.get(), part->c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                      S_ISLNK(status.st_mode);
    errno = link ? ELOOP : code;
    return -1;
  }
  return at;
}

// Where a link of a download cache leads: a plain name in <repository>/blobs.
std::optional<fs::path> blob_of(const fs::path& folder, const std::string& location) {
  std::error_code error;
  const fs::path place = fs::canonical(folder / fs::path(location).parent_path(), error);
  if (error) return std::nullopt;
  const fs::path target = fs::canonical(place / fs::path(location).filename(), error);
  if (error) return std::nullopt;
  for (fs::path level = place; level.has_relative_path(); level = level.parent_path()) {
    if (level.filename() == "snapshots" && target.parent_path() == level.parent_path() / "blobs") {
      return target;
    }
  }
  return std::nullopt;
}

void check_regular(int fd, const std::string& location) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) refuse(location, "cannot be examined");
  if (!S_ISREG(status.st_mode)) refuse(location, "is not a regular file");
  if (status.st_nlink > 1) refuse(location, "is a hard link: the file has several names");
}

}  // namespace

std::shared_ptr<const MappedFile> ExternalFiles::open(const std::string& location) {
  if (const auto known = files_.find(location); known != files_.end()) return known->second;
  check_location(location);
  if (folder_.empty()) refuse(location, "cannot belong to a model without a folder");
  int fd = open_beneath(folder_, location);
  if (fd < 0 && errno == ELOOP) {
    const auto blob = blob_of(folder_, location);
    if (!blob) refuse(location, "is or lies behind a symbolic link");
    fd = open_beneath(blob->parent_path(), blob->filename().string());
  }
  if (fd < 0) refuse(location, fmt::format("cannot be opened: {}", std::strerror(errno)));
  const Descriptor file(fd);
  check_regular(fd, location);
  // By the descriptor: the name may mean another file by now.
  auto mapped = MappedFile::open(fmt::format("/proc/self/fd/{}", fd));
  files_.emplace(location, mapped);
  return mapped;
}

}  // namespace tenon::onnx
