// libFuzzer target of the ONNX reader, and of the writer for what it accepts.
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include <unistd.h>

#include "base/error.h"
#include "onnx/reader.h"
#include "onnx/writer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fs = std::filesystem;
  static const fs::path kFile =
      fs::temp_directory_path() / ("tenon-onnx-fuzz-" + std::to_string(::getpid()) + ".onnx");
  try {
    const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
    const auto graph = tenon::onnx::read(bytes, {}, {.max_nodes = 10'000});
    tenon::onnx::write(graph, kFile, {.external_data = false});
  } catch (const tenon::Error&) {
  }
  return 0;
}
