#include "planner/file_store.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/hash.h"

namespace tenon::planner {
namespace {

constexpr std::size_t kPage = 4096;
// What is smaller costs more as a mapping of its own than it can save.
constexpr std::size_t kSmallest = std::size_t{64} << 10;

[[noreturn]] void no_room(const std::filesystem::path& folder, std::size_t bytes, int code) {
  Error error(ErrorCode::resource,
              fmt::format("{}: {} bytes of weights cannot be put there for a while: {}",
                          folder.string(), bytes, std::strerror(code)));
  throw error.hint("free space on that disk, or give the build more memory by --max-ram");
}

int open_unnamed(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  // Not every file system knows files without a name.
  std::string name = (folder / ".tenon-XXXXXX").string();
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) no_room(folder, 0, errno);
  ::unlink(name.c_str());
  return named;
}

}  // namespace

FileStore::FileStore(const std::filesystem::path& folder, std::uint64_t memory_bytes)
    : folder_(folder.empty() ? "." : folder), memory_left_(memory_bytes) {}

FileStore::~FileStore() {
  if (fd_ >= 0) ::close(fd_);
}

std::shared_ptr<std::byte> FileStore::place(std::size_t bytes) {
  if (bytes < kSmallest || bytes <= memory_left_) {
    memory_left_ -= std::min<std::uint64_t>(bytes, memory_left_);
    placed_ = backend::allocate_huge(bytes);
    placed_in_file_ = false;
    return placed_;
  }
  if (fd_ < 0) fd_ = open_unnamed(folder_);
  const std::size_t length = (bytes + kPage - 1) / kPage * kPage;
  // Reserved now: a page of a mapping that the disk has no room for would end the process.
  const int code =
      ::posix_fallocate(fd_, static_cast<off_t>(file_bytes_), static_cast<off_t>(length));
  if (code != 0) no_room(folder_, bytes, code);
  void* base = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd_,
                      static_cast<off_t>(file_bytes_));
  if (base == MAP_FAILED) no_room(folder_, bytes, errno);
  file_bytes_ += length;
  placed_in_file_ = true;
  placed_ = {static_cast<std::byte*>(base), [length](std::byte* at) { ::munmap(at, length); }};
  return placed_;
}

void FileStore::put(engine::Constant& constant, std::span<const std::byte> bytes) {
  if (placed_ == nullptr || placed_.get() != bytes.data()) {
    const auto own = place(bytes.size());
    if (!bytes.empty()) std::memcpy(own.get(), bytes.data(), bytes.size());
  }
  constant.bytes = bytes.size();
  constant.sum = xxh3({placed_.get(), bytes.size()});
  if (placed_in_file_) {
    in_file_.emplace_back(placed_.get(), bytes.size());
    // On its way to the disk now, so that the pages can go as soon as somebody needs the room.
    ::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
    ::madvise(placed_.get(), bytes.size(), MADV_DONTNEED);
  }
  constant.data = std::move(placed_);
  placed_ = nullptr;
}

}  // namespace tenon::planner
