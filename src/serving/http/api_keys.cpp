#include "serving/http/api_keys.h"

#include <sstream>

#include <openssl/crypto.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"

namespace tenon::serving::http {
namespace {

constexpr std::size_t kShortest = 8;

std::string digest_of(std::string_view key) {
  return sha256_hex(std::as_bytes(std::span(key.data(), key.size())));
}

std::string_view key_of(const Request& request) {
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view given = request.header("authorization");
  if (given.size() > kBearer.size() &&
      std::equal(kBearer.begin(), kBearer.end(), given.begin(),
                 [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); })) {
    return given.substr(kBearer.size());
  }
  return request.header("x-api-key");
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
