#include "base/atomic_file.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace tenon {
namespace {

// Dirty pages are handed to the disk in steps, so that a long write neither fills the page cache
// nor leaves all its waiting to the last sync.
constexpr std::uint64_t kFlushBytes = std::uint64_t{256} << 20;

[[noreturn]] void disk_error(const std::filesystem::path& path, const char* doing) {
  const int code = errno;
  Error error(ErrorCode::resource,
              fmt::format("{}: cannot {}: {}", path.string(), doing, std::strerror(code)));
  if (code == ENOSPC) error.hint("free space on that disk or choose another output folder");
  throw error;
}

bool is_named(int fd, const std::filesystem::path& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path target)
    : target_(std::move(target)),
      temporary_(target_.string() + fmt::format(".part-{}", ::getpid())),
      fd_(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644)) {
  if (fd_ < 0) disk_error(temporary_, "be created");
}

AtomicFile::AtomicFile(std::filesystem::path target, std::filesystem::path part)
    : target_(std::move(target)),
      temporary_(std::move(part)),
      fd_(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644)),
      kept_(true) {
  if (fd_ < 0) disk_error(temporary_, "be created");
  // Whoever locks a file that has got its final name meanwhile holds another file than the part.
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 || !is_named(fd_, temporary_)) {
    ::close(fd_);
    Error error(ErrorCode::resource,
                fmt::format("{}: another process is writing it", temporary_.string()));
    throw error.hint("wait for it, or choose another output");
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  if (!kept_) ::unlink(temporary_.c_str());
  ::close(fd_);
}

void AtomicFile::go_on_at(std::uint64_t position) {
  if (::ftruncate(fd_, static_cast<off_t>(position)) != 0 ||
      ::lseek(fd_, static_cast<off_t>(position), SEEK_SET) < 0)
    disk_error(temporary_, "be cut");
  position_ = position;
  unflushed_ = 0;
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd_, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) disk_error(temporary_, "be written");
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    position_ += static_cast<std::uint64_t>(done);
    unflushed_ += static_cast<std::uint64_t>(done);
  }
  if (unflushed_ >= kFlushBytes) {
    ::sync_file_range(fd_, static_cast<off_t>(position_ - unflushed_),
                      static_cast<off_t>(unflushed_), SYNC_FILE_RANGE_WRITE);
    unflushed_ = 0;
  }
}

void AtomicFile::pad_to(std::size_t alignment) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  std::size_t missing = (alignment - position_ % alignment) % alignment;
  while (missing > 0) {
    const std::size_t part = std::min(missing, kZeros.size());
    write(std::span(kZeros).first(part));
    missing -= part;
  }
}

void AtomicFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) disk_error(temporary_, "be written");
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    offset += static_cast<std::uint64_t>(done);
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) disk_error(temporary_, "be synced");
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) disk_error(target_, "be replaced");
  // Closed under its final name: the lock of a part file ends when there is none any more.
  ::close(fd_);
  fd_ = -1;
  const auto folder =
      target_.has_parent_path() ? target_.parent_path() : std::filesystem::path(".");
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace tenon
