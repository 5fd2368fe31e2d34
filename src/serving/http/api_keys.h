// Who may ask: keys from a file, compared in constant time.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/http/message.h"

namespace tenon::serving::http {

/// Immutable, any number of threads. Only digests of the keys are kept.
class ApiKeys {
 public:
  /// One key a line; blank lines and those that begin with '#' count for nothing. Error(bad_input)
  /// when the file holds none, or one that is shorter than 8 characters.
  static ApiKeys read(const std::filesystem::path& path);
  explicit ApiKeys(const std::vector<std::string>& keys);

  /// A name for the key that `Authorization: Bearer KEY`, `Authorization: Basic` with the key as
  /// password, or `X-API-Key: KEY` gives, the same each time and of no use as a key; nothing when
  /// the key is unknown. A browser sends Basic by itself, also for a page of somebody else: such a
  /// request counts only when it changes nothing (GET, HEAD) or comes from a page of this server.
  std::optional<std::string> client_of(const Request& request) const;

 private:
  std::vector<std::string> digests_;
};

}  // namespace tenon::serving::http
