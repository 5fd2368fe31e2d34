// Fuzz target: any bytes as a picture. Either an Error, or an Image that survives a PNG file.
#include <cstdlib>

#include "base/error.h"
#include "image/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon;
  try {
    const image::Image image = image::decode_image(std::as_bytes(std::span(data, size)));
    if (image.pixels().size() > 1U << 20) return 0;
    const std::string again = image::encode_png(image);
    if (image::decode_png(std::as_bytes(std::span(again))) != image) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
