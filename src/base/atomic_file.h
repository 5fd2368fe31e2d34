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
  /// Writes to `part`, in the same folder, with what an earlier process left there: begins at
  /// position 0 with those bytes still behind it, and leaves the file where it is unless `commit`
  /// or `discard` is called. Error(resource) while another process writes it.
  AtomicFile(std::filesystem::path target, std::filesystem::path part);
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
  /// Goes on behind the first `position` bytes that are there; what follows them is cut off.
  void go_on_at(std::uint64_t position);
  /// The temporary file goes when this does.
  void discard() noexcept { kept_ = false; }
  /// Where the bytes are until `commit`.
  const std::filesystem::path& temporary() const noexcept { return temporary_; }
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int fd_;
  bool kept_ = false;  // the temporary file, when this goes without commit
  std::uint64_t position_ = 0;
  std::uint64_t unflushed_ = 0;
};

/// The same for a small file given whole.
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace tenon
