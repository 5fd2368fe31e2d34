// The fixed start of a .tenon file.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace tenon::bundle {

inline constexpr std::array<char, 8> kMagic = {'T', 'E', 'N', 'O', 'N', 'B', 'D', 'L'};
inline constexpr std::uint32_t kFormatVersion = 2;
inline constexpr std::uint64_t kBlobStart = 4096;

/// Little-endian; `sum` is XXH3 of the bytes before it.
struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kFormatVersion;
  std::uint32_t reserved = 0;
  std::uint64_t structure_offset = 0;
  std::uint64_t structure_bytes = 0;
  std::uint64_t structure_sum = 0;
  std::uint64_t blob_offset = kBlobStart;
  std::uint64_t file_bytes = 0;
  std::uint64_t sum = 0;
};
static_assert(sizeof(Header) == 64);

}  // namespace tenon::bundle
