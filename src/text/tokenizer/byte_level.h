// The alphabet of byte-level tokenizers: each byte stands as one printable character.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tenon::text {

void append_byte_level(std::string& out, std::string_view bytes);
std::string to_byte_level(std::string_view bytes);
/// The bytes behind the characters of `token`; none when a character is not in the alphabet.
std::optional<std::string> from_byte_level(std::string_view token);
/// `<0x0A>`: the byte. None for anything else.
std::optional<unsigned char> parse_byte_token(std::string_view token);
std::string byte_token(unsigned char byte);

}  // namespace tenon::text
