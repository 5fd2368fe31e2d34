// Tokens and their ids.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenon::text {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

/// Both directions, ids in [0, bound()), holes allowed. Filled at load, then read by any thread.
class Vocabulary {
 public:
  static constexpr std::int64_t kMaxId = (std::int64_t{1} << 24) - 1;
  static constexpr std::size_t kMaxTokenBytes = 4096;

  /// Error(bad_input): an id outside [0, kMaxId], an id or a token given twice, a token of more
  /// than kMaxTokenBytes.
  void add(std::string token, std::int64_t id);
  std::optional<std::int32_t> id(std::string_view token) const;
  /// Null for an id that names no token.
  const std::string* token(std::int32_t id) const;
  /// The greatest id and one more.
  std::int32_t bound() const { return static_cast<std::int32_t>(tokens_.size()); }
  std::size_t size() const { return ids_.size(); }
  void reserve(std::size_t count);

 private:
  std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>> ids_;
  std::vector<const std::string*> tokens_;  // keys of ids_
};

}  // namespace tenon::text
