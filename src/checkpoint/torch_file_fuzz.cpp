// Fuzz target: any bytes as a file of torch.save, up to the first and last value of each weight.
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include "base/error.h"
#include "checkpoint/torch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("tenon_fuzz_" + std::to_string(::getpid()));
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    for (const auto& [name, weight] :
         tenon::checkpoint::read_torch(tenon::MappedFile::open(path))) {
      const auto loaded = weight.source->load();
    }
  } catch (const tenon::Error&) {
  }
  return 0;
}
