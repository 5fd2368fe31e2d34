#include "serving/shared_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::serving {
namespace {

constexpr std::size_t kLongestName = 128;
constexpr std::size_t kLongestKey = 128;

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  });
}

std::string reason() { return std::generic_category().message(errno); }

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

std::uint64_t size_of(int descriptor, const RegionInfo& region) {
  struct stat found {};
  if (::fstat(descriptor, &found) != 0 || !S_ISREG(found.st_mode) || found.st_size < 0)
    bad_input("Invalid shared memory region: '{}'", region.key);
  return static_cast<std::uint64_t>(found.st_size);
}

// Whether [offset, offset + size) lies within `whole` bytes, without a sum that could wrap.
bool within(std::uint64_t offset, std::uint64_t size, std::uint64_t whole) {
  return offset <= whole && size <= whole - offset;
}

}  // namespace

SharedRegion::~SharedRegion() { ::close(descriptor_); }

void SharedRegion::check(std::uint64_t offset, std::uint64_t size) const {
  if (offset >= info_.byte_size)
    bad_input(
        "Invalid offset for shared memory region: '{}': {} was given, the region has {} bytes",
        info_.name, offset, info_.byte_size);
  if (!within(offset, size, info_.byte_size))
    bad_input(
        "Invalid offset + byte size for shared memory region: '{}': {} bytes from {}, the region "
        "has {}",
        info_.name, size, offset, info_.byte_size);
}

void SharedRegion::check_object(std::uint64_t offset, std::uint64_t size) const {
  const std::uint64_t whole = size_of(descriptor_, info_);
  if (!within(info_.offset + offset, size, whole))
    bad_input(
        "shared memory region '{}': its object '{}' has become {} bytes short of what was "
        "registered: register it anew",
        info_.name, info_.key, info_.offset + info_.byte_size - whole);
}

void SharedRegion::read(std::uint64_t offset, std::span<std::byte> to) const {
  check(offset, to.size());
  check_object(offset, to.size());
  std::uint64_t at = info_.offset + offset;
  while (!to.empty()) {
    const ssize_t got = ::pread(descriptor_, to.data(), to.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) bad_input("shared memory region '{}': cannot be read: {}", info_.name, reason());
    if (got == 0)
      bad_input("shared memory region '{}': its object '{}' was cut off while it was read",
                info_.name, info_.key);
    at += static_cast<std::uint64_t>(got);
    to = to.subspan(static_cast<std::size_t>(got));
  }
}

void SharedRegion::write(std::uint64_t offset, std::span<const std::byte> from) const {
  check(offset, from.size());
  check_object(offset, from.size());
  std::uint64_t at = info_.offset + offset;
  while (!from.empty()) {
    const ssize_t put = ::pwrite(descriptor_, from.data(), from.size(), static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0)
      throw Error(ErrorCode::resource,
                  fmt::format("shared memory region '{}': cannot be written: {}", info_.name,
                              put == 0 ? "no room" : reason()));
    at += static_cast<std::uint64_t>(put);
    from = from.subspan(static_cast<std::size_t>(put));
  }
}

SharedMemory::SharedMemory(std::string prefix) : prefix_(std::move(prefix)) {
  if (prefix_.empty()) return;
  if (prefix_.size() < 2 || prefix_.size() > 64 || prefix_.front() != '/' || prefix_[1] == '.' ||
      !is_plain(std::string_view(prefix_).substr(1)))
    fail(ErrorCode::usage,
         "shared memory prefix '{}': '/' and then 1 to 63 letters, digits, '.', '_' or '-' were "
         "expected, not beginning with a dot",
         prefix_);
}

void SharedMemory::check_offered() const {
  if (!offered())
    fail(ErrorCode::usage,
         "shared memory is not offered by this server: start it with --shared-memory-prefix /NAME");
}

void SharedMemory::check_key(const RegionInfo& region) const {
  const bool fits = region.key.size() <= kLongestKey && region.key.starts_with(prefix_) &&
                    is_plain(std::string_view(region.key).substr(1));
  if (!fits)
    bad_input(
        "shared memory region '{}': its key is not within what this server takes: '{}' and then "
        "letters, digits, '.', '_' and '-', {} characters at most; it was '{}'",
        region.name, prefix_, kLongestKey, region.key.substr(0, kLongestKey));
}

void SharedMemory::add(RegionInfo region) {
  check_offered();
  if (region.name.empty() || region.name.size() > kLongestName)
    bad_input("the name of a shared memory region has {} characters, 1 to {} were expected",
              region.name.size(), kLongestName);
  check_key(region);
  const std::lock_guard lock(mutex_);
  if (regions_.contains(region.name))
    throw RegionExists(fmt::format("shared memory region '{}' already in manager", region.name));
  if (regions_.size() >= kMostRegions)
    throw Error(ErrorCode::resource,
                fmt::format("{} shared memory regions are registered, no more are possible: "
                            "unregister some",
                            regions_.size()));
  // shm_open adds O_NOFOLLOW and O_CLOEXEC; the key is one component, so no folder is passed.
  Descriptor object(::shm_open(region.key.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0));
  if (object.get() < 0)
    bad_input("Unable to open shared memory region: '{}': {}", region.key, reason());
  if (region.byte_size == 0 ||
      !within(region.offset, region.byte_size, size_of(object.get(), region)))
    bad_input(
        "failed to register shared memory region '{}': invalid args: {} bytes from {}, the object "
        "has {}",
        region.name, region.byte_size, region.offset, size_of(object.get(), region));
  std::string name = region.name;
  auto made = std::make_shared<const SharedRegion>(std::move(region), object.get());
  object.release();
  regions_.emplace(std::move(name), std::move(made));
}

std::vector<RegionInfo> SharedMemory::status(const std::string& name) const {
  check_offered();
  std::vector<RegionInfo> list;
  const std::lock_guard lock(mutex_);
  if (!name.empty()) {
    const auto found = regions_.find(name);
    if (found == regions_.end())
      throw UnknownRegion(
          fmt::format("Unable to find system shared memory region: '{}'", name.substr(0, 128)));
    return {found->second->info()};
  }
  for (const auto& [key, region] : regions_) list.push_back(region->info());
  return list;
}

void SharedMemory::remove(const std::string& name) {
  check_offered();
  const std::lock_guard lock(mutex_);
  if (name.empty()) return regions_.clear();
  if (const auto found = regions_.find(name); found != regions_.end()) regions_.erase(found);
}

std::shared_ptr<const SharedRegion> SharedMemory::find(const std::string& name) const {
  check_offered();
  const std::lock_guard lock(mutex_);
  const auto found = regions_.find(name);
  if (found == regions_.end())
    throw UnknownRegion(
        fmt::format("Unable to find shared memory region: '{}'", name.substr(0, 128)));
  return found->second;
}

}  // namespace tenon::serving
