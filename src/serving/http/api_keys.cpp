#include "serving/http/api_keys.h"

#include <algorithm>
#include <sstream>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"

namespace tenon::serving::http {
namespace {

constexpr std::size_t kShortest = 8;

std::string digest_of(std::string_view key) {
  return sha256_hex(std::as_bytes(std::span(key.data(), key.size())));
}

// What stands behind "bearer " or "basic ", in any case.
std::optional<std::string_view> behind(std::string_view scheme, std::string_view given) {
  const bool fits = given.size() > scheme.size() &&
                    std::equal(scheme.begin(), scheme.end(), given.begin(), [](char a, char b) {
                      return a == (b >= 'A' && b <= 'Z' ? b + 32 : b);
                    });
  if (!fits) return std::nullopt;
  return given.substr(scheme.size());
}

// The password of base64("user:password"); empty when that is malformed.
std::string password_of(std::string_view encoded) {
  if (encoded.size() % 4 != 0 || encoded.size() > 4096) return {};
  std::string plain(encoded.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(plain.data()),
                                   reinterpret_cast<const unsigned char*>(encoded.data()),
                                   static_cast<int>(encoded.size()));
  if (size < 0) return {};
  const std::size_t padding = encoded.ends_with("==") ? 2 : encoded.ends_with("=") ? 1 : 0;
  plain.resize(static_cast<std::size_t>(size) - padding);
  const auto colon = plain.find(':');
  return colon == std::string::npos ? std::string() : plain.substr(colon + 1);
}

bool from_elsewhere(const Request& request) {
  if (request.method == "GET" || request.method == "HEAD") return false;
  const std::string_view origin = request.header("origin");
  if (origin.empty()) return false;
  const auto slashes = origin.find("://");
  return slashes == std::string_view::npos || origin.substr(slashes + 3) != request.header("host");
}

std::string key_of(const Request& request) {
  const std::string_view given = request.header("authorization");
  if (const auto key = behind("bearer ", given)) return std::string(*key);
  if (const auto encoded = behind("basic ", given))
    return from_elsewhere(request) ? std::string() : password_of(*encoded);
  return std::string(request.header("x-api-key"));
}

}  // namespace

ApiKeys::ApiKeys(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) digests_.push_back(digest_of(key));
}

ApiKeys ApiKeys::read(const std::filesystem::path& path) {
  std::istringstream lines(read_file(path));
  std::vector<std::string> keys;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    line.erase(0, line.find_first_not_of(" \t\r"));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (line.empty() || line.front() == '#') continue;
    if (line.size() < kShortest) {
      bad_input("{}: the key in line {} has {} characters, at least {} were expected",
                path.string(), number, line.size(), kShortest);
    }
    keys.push_back(line);
  }
  if (keys.empty()) bad_input("{}: holds no key, one a line was expected", path.string());
  return ApiKeys(keys);
}

std::optional<std::string> ApiKeys::client_of(const Request& request) const {
  const std::string digest = digest_of(key_of(request));
  bool known = false;
  for (const std::string& one : digests_) {
    known |= CRYPTO_memcmp(one.data(), digest.data(), digest.size()) == 0;
  }
  if (!known) return std::nullopt;
  return "key-" + digest_of(digest).substr(0, 12);
}

}  // namespace tenon::serving::http
