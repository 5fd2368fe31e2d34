// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace tenon {

/// Owns the mapping; `bytes()` lives as long as the object. Const and shared by any number of
/// threads. Refuses what is not a regular file. A file cut short by somebody else while it is
/// mapped makes a later read fault: the readers check sizes at open, and writers replace files by
/// rename.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  const std::filesystem::path& path() const noexcept { return path_; }

  /// Tells the system that the pages of this range are no longer needed, so that streaming through
  /// a large file keeps the resident size small. Only a hint: the bytes stay readable.
  void release(std::size_t offset, std::size_t length) const noexcept;

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, std::size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  std::filesystem::path path_;
  const std::byte* data_;
  std::size_t size_;
};

/// The whole of a small text or binary file. Refuses more than `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::size_t limit = std::size_t{1} << 28);

}  // namespace tenon
