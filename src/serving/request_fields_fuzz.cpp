// Any bytes as the JSON of a request for text or pictures, and as a configuration: an Error, or
// fields within their ranges. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "serving/picture_fields.h"
#include "serving/repository/config_text.h"
#include "serving/sampling_fields.h"

namespace {

namespace serving = tenon::serving;

void check(bool holds) {
  if (!holds) __builtin_trap();
}

void read_sampling(const tenon::Json& fields) {
  tenon::pipelines::GenerationConfig config;
  serving::apply_sampling(config, fields);
  check(config.num_return_sequences >= 1 && config.num_return_sequences <= serving::kMaxChoices);
}

void read_picture(const tenon::Json& fields) {
  tenon::pipelines::ImageRequest request;
  serving::apply_picture_fields(request, fields);
  check(request.steps >= 0);
}

// What was read is written and read again as the same.
void read_config(std::string_view text, bool json) {
  const auto config =
      json ? serving::parse_config_json(text, "fuzz") : serving::parse_config_text(text, "fuzz");
  const std::string written = serving::config_text(config);
  if (written.size() > serving::kMaxConfigBytes) return;
  check(serving::config_text(serving::parse_config_text(written, "fuzz")) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] % 4) {
      case 0:
        return read_config(text, false), 0;
      case 1:
        return read_config(text, true), 0;
      default: {
        const tenon::Json fields = tenon::parse_json(text, "fuzz");
        if (!fields.is_object()) return 0;
        if (data[0] % 4 == 2)
          read_sampling(fields);
        else
          read_picture(fields);
      }
    }
  } catch (const tenon::Error& error) {
    if (error.code() == tenon::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
