// Fuzz target: any bytes as a safetensors file. Either an Error, or tensors that lie inside.
#include <cstdlib>

#include "base/error.h"
#include "checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    for (const auto& entry :
         tenon::checkpoint::parse_safetensors(std::as_bytes(std::span(data, size)))) {
      if (entry.begin > entry.end || entry.end > size) std::abort();
    }
  } catch (const tenon::Error&) {
  }
  return 0;
}
