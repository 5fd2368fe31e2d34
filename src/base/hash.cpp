#include "base/hash.h"

#include <algorithm>
#include <array>
#include <memory>

#include <fmt/core.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include "base/error.h"

namespace tenon {

std::uint64_t xxh3(std::span<const std::byte> bytes) noexcept {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string sha256_hex(std::span<const std::byte> bytes,
                       const std::function<void(std::size_t)>& passed) {
  constexpr std::size_t kPart = std::size_t{16} << 20;
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> state(EVP_MD_CTX_new(),
                                                                      EVP_MD_CTX_free);
  bool sound = state != nullptr && EVP_DigestInit_ex(state.get(), EVP_sha256(), nullptr) == 1;
  for (std::size_t at = 0; sound && at < bytes.size(); at += kPart) {
    const auto part = bytes.subspan(at, std::min(kPart, bytes.size() - at));
    sound = EVP_DigestUpdate(state.get(), part.data(), part.size()) == 1;
    if (passed) passed(at + part.size());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (!sound || EVP_DigestFinal_ex(state.get(), digest.data(), &length) != 1)
    fail(ErrorCode::internal, "SHA-256 is not available from OpenSSL");
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace tenon
