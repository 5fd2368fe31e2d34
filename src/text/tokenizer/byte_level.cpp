// Tables of the byte-level alphabet, and byte tokens.
#include "text/tokenizer/byte_level.h"

#include <array>

#include <fmt/core.h>

#include "text/tokenizer/utf8.h"

namespace tenon::text {
namespace {

struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<int, 0x200> bytes{};  // by code point; -1: none

  Alphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;  // bytes that do not print take the code points from here on
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool prints = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
      const char32_t point = prints ? static_cast<char32_t>(byte) : next++;
      append_utf8(characters[byte], point);
      bytes[point] = static_cast<int>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet kAlphabet;
  return kAlphabet;
}

int hexadecimal(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

}  // namespace

void append_byte_level(std::string& out, std::string_view bytes) {
  const Alphabet& known = alphabet();
  for (const char byte : bytes) out += known.characters[static_cast<unsigned char>(byte)];
}

std::string to_byte_level(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 2);
  append_byte_level(out, bytes);
  return out;
}

std::optional<std::string> from_byte_level(std::string_view token) {
  const Alphabet& known = alphabet();
  std::string out;
  out.reserve(token.size());
  for (std::size_t at = 0; at < token.size();) {
    const char32_t point = next_point(token, at);
    if (point >= known.bytes.size() || known.bytes[point] < 0) return std::nullopt;
    out.push_back(static_cast<char>(known.bytes[point]));
  }
  return out;
}

std::optional<unsigned char> parse_byte_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const int high = hexadecimal(token[3]);
  const int low = hexadecimal(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<unsigned char>(high * 16 + low);
}

std::string byte_token(unsigned char byte) { return fmt::format("<0x{:02X}>", byte); }

}  // namespace tenon::text
