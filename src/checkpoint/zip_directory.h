// The entries of a zip file whose contents are stored as they are, so that they can be mapped in
// place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace tenon::checkpoint {

struct ZipEntry {
  std::uint64_t offset = 0;  ///< of the contents, from the start of the file
  std::uint64_t bytes = 0;   ///< as they lie in the file
  std::uint32_t crc32 = 0;
  std::uint16_t method = 0;  ///< of compression; 0: the contents are stored as they are
};

/// True when the bytes start as a zip file does.
bool is_zip(std::span<const std::byte> file) noexcept;

/// Throws Error(bad_input) when the entry is compressed.
void require_stored(std::string_view name, const ZipEntry& entry);

/// All entries by name. Refuses (bad_input) encrypted entries, names that lead out of
/// a directory, two entries of one name, contents that overlap or lie outside the file, and
/// directory records that disagree with the entries. Reads the directory and the entries' headers;
/// the sums are not checked.
std::map<std::string, ZipEntry, std::less<>> read_zip(std::span<const std::byte> file);

/// CRC-32 as zip files use it; `before` is the sum of the bytes that came first.
std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept;

}  // namespace tenon::checkpoint
