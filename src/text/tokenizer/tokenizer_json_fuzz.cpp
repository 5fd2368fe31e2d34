// Hostile tokenizer.json: the part of the input before a zero byte is the file, the rest a text.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "text/streaming.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), size);
  const std::string_view text = input.substr(std::min(end + 1, size));
  try {
    const auto tokenizer = tenon::text::load_tokenizer(
        tenon::text::TokenizerFiles{{"tokenizer.json", std::string(input.substr(0, end))}});
    const auto ids = tokenizer->encode(text);
    const std::string whole = tokenizer->decode(ids, false);
    tenon::text::StreamingDecoder streaming(*tokenizer, false);
    std::string joined;
    for (const auto id : ids) joined += streaming.push(id);
    if (joined + streaming.finish() != whole) __builtin_trap();
  } catch (const tenon::Error& error) {
    if (error.code() == tenon::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
