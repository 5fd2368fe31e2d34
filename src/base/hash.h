// Content sums: SHA-256 names files in provenance, XXH3 guards blobs against damage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace tenon {

std::uint64_t xxh3(std::span<const std::byte> bytes) noexcept;
/// 64 lower-case hexadecimal digits. `passed`, if given, is called on the way with the number of
/// bytes from the start that are not needed any more.
std::string sha256_hex(std::span<const std::byte> bytes,
                       const std::function<void(std::size_t)>& passed = {});

}  // namespace tenon
