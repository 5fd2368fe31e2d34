// Bodies that travel compressed: gzip and deflate (zlib's format, RFC 9110 section 8.4.1).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::serving::http {

enum class Encoding { gzip, deflate };
const char* encoding_name(Encoding encoding);

/// Of a Content-Encoding: nothing when it is neither of them, or several.
std::optional<Encoding> encoding_of(std::string_view content_encoding);
/// What an Accept-Encoding likes best of the two; nothing when it takes neither.
std::optional<Encoding> accepted_encoding(std::string_view accept_encoding);

struct Inflated {
  enum class End { whole, malformed, too_long, no_memory };
  End end = End::whole;
  std::string bytes;
};
/// Stops as soon as there are more than `limit` bytes, however few stand for them, or when `hold`,
/// which is told of bytes before they are made, says no.
Inflated inflated(std::string_view bytes, Encoding encoding, std::uint64_t limit,
                  const std::function<bool(std::uint64_t more)>& hold);

/// Quick rather than small. Throws std::bad_alloc.
std::string deflated(std::string_view bytes, Encoding encoding);

}  // namespace tenon::serving::http
