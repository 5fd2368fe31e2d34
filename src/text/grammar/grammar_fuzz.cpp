// Any bytes as a grammar, a regular expression or a JSON schema: an Error, or a constraint whose
// masks are followed. The first byte chooses; what stands behind a zero byte is text to read.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "text/grammar/constraint.h"

namespace {

std::shared_ptr<const tenon::text::grammar::TokenTrie> tokens() {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  for (const char* more : {"\":", "\", \"", "}}", "],", "true", " the", "é"})
    texts.emplace_back(more);
  return std::make_shared<const tenon::text::grammar::TokenTrie>(std::move(texts));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace grammar = tenon::text::grammar;
  static const auto vocabulary = tokens();
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view source = input.substr(0, end);
  try {
    const grammar::Constraint constraint(data[0] % 3 == 0   ? grammar::parse_grammar(source)
                                         : data[0] % 3 == 1 ? grammar::regex_grammar(source)
                                                            : grammar::json_schema_grammar(source),
                                         vocabulary);
    grammar::Matcher matcher(constraint);
    matcher.accept_text(input.substr(std::min(end + 1, input.size())));
    for (int step = 0; step < 20 && !matcher.is_finished(); ++step) {
      const auto mask = matcher.mask();
      std::int32_t id = 0;
      while (id < 256 && (mask[static_cast<std::size_t>(id) / 64] >> (id % 64) & 1) == 0) ++id;
      // With all bytes in the vocabulary there is always a way on.
      if (id == 256 || !matcher.accept(id)) __builtin_trap();
    }
  } catch (const tenon::Error& error) {
    if (error.code() == tenon::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
