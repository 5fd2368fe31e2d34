// Content sums: SHA-256 names files in provenance, XXH3 guards blobs against damage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tenon {

std::uint64_t xxh3(std::span<const std::byte> bytes) noexcept;
/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace tenon
