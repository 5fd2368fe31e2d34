// Fuzz target: any text as the YAML configuration of a training run.
#include "base/error.h"
#include "checkpoint/original_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tenon::checkpoint::parse_yaml({reinterpret_cast<const char*>(data), size}, "input");
  } catch (const tenon::Error&) {
  }
  return 0;
}
