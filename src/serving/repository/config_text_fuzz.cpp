// Any bytes as a configuration, in both of its forms: read or refused, and what is read prints as
// text that is read again.
#include <cstdint>

#include "base/error.h"
#include "serving/repository/check_config.h"
#include "serving/repository/config_text.h"

namespace {

template <typename Parse>
void try_to_read(std::string_view text, Parse parse) {
  try {
    const auto config = parse(text, "fuzz");
    tenon::serving::check_supported(config);
    tenon::serving::parse_config_text(tenon::serving::config_text(config), "printed");
  } catch (const tenon::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try_to_read(text, tenon::serving::parse_config_text);
  try_to_read(text, tenon::serving::parse_config_json);
  return 0;
}
