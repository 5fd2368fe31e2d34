// System shared memory that clients lend to the server: regions by name, read and written within
// their bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace tenon::serving {

/// No region has this name. Its code is `usage`; 404, NOT_FOUND.
class UnknownRegion : public Error {
 public:
  explicit UnknownRegion(std::string message) : Error(ErrorCode::usage, std::move(message)) {}
};

/// A region has this name already. Its code is `usage`; 409, ALREADY_EXISTS.
class RegionExists : public Error {
 public:
  explicit RegionExists(std::string message) : Error(ErrorCode::usage, std::move(message)) {}
};

/// Bytes [offset, offset + byte_size) of the object `key`, under a name.
struct RegionInfo {
  std::string name;
  std::string key;  ///< "/name" of the object, as shm_open takes it
  std::uint64_t offset = 0;
  std::uint64_t byte_size = 0;
};

/// A registered region. Whoever holds it may read and write, also after it was unregistered. Any
/// number of threads.
///
/// The object is not mapped: bytes are copied by pread and pwrite, since a client that cuts the
/// object off while a mapping is read would end the server by SIGBUS. Here the copy comes back
/// short and is an Error. It also means that a tensor, once read, stays what it was.
class SharedRegion {
 public:
  SharedRegion(RegionInfo info, int descriptor) : info_(std::move(info)), descriptor_(descriptor) {}
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  const RegionInfo& info() const { return info_; }
  /// Error(bad_input) when [offset, offset + size) is not within the region.
  void check(std::uint64_t offset, std::uint64_t size) const;
  /// Copies bytes of the region that begin at `offset`. Error(bad_input): they are not all within
  /// the region, or the object has become shorter than it was when it was registered.
  void read(std::uint64_t offset, std::span<std::byte> to) const;
  /// The other way. The object never grows by it, but for one that is cut off meanwhile: then it
  /// may get back up to the size that was registered.
  void write(std::uint64_t offset, std::span<const std::byte> from) const;

 private:
  void check_object(std::uint64_t offset, std::uint64_t size) const;

  RegionInfo info_;
  int descriptor_;
};

/// The regions of a server. Any number of threads.
class SharedMemory {
 public:
  static constexpr std::size_t kMostRegions = 256;

  /// Only objects whose key begins with `prefix` may be registered; empty: none at all.
  /// Error(usage) unless the prefix is '/' followed by letters, digits, '.', '_' and '-'.
  explicit SharedMemory(std::string prefix = {});

  /// Whether regions may be registered here.
  bool offered() const { return !prefix_.empty(); }

  /// Opens the object, which must be a plain one of at least offset + byte_size bytes; neither
  /// links nor folders below /dev/shm are followed. RegionExists; Error(bad_input) for a key
  /// outside of the prefix, sizes that do not fit, more than kMostRegions; Error(usage) when not
  /// offered.
  void add(RegionInfo region);
  /// One region, or with an empty name all. UnknownRegion.
  std::vector<RegionInfo> status(const std::string& name) const;
  /// One region, or with an empty name all. A name that nobody has is no error, as with Triton.
  void remove(const std::string& name);
  /// For a tensor. UnknownRegion.
  std::shared_ptr<const SharedRegion> find(const std::string& name) const;

 private:
  void check_offered() const;
  void check_key(const RegionInfo& region) const;

  std::string prefix_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const SharedRegion>, std::less<>> regions_;
};

}  // namespace tenon::serving
