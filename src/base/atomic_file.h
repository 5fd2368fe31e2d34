// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace tenon {

/// Writes to a temporary name in the same folder; `commit` syncs and renames it over the target.
/// Destroyed without commit, it removes the temporary file, also when an Error or Ctrl-C unwinds.
/// One thread at a time. Throws Error(resource) when the disk fails.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Appends zero bytes until the position is a multiple of `alignment`.
  void pad_to(std::size_t alignment);
  /// Overwrites bytes that were written before (a header whose sums are known at the end).
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  std::uint64_t position() const noexcept { return position_; }
  /// Where the bytes are until `commit`.
  const std::filesystem::path& temporary() const noexcept { return temporary_; }
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int fd_;
  std::uint64_t position_ = 0;
  std::uint64_t unflushed_ = 0;
};

/// The same for a small file given whole.
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace tenon
