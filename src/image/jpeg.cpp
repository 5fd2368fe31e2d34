#include "image/jpeg.h"

#include <memory>
#include <optional>

#include <turbojpeg.h>

#include "base/error.h"

namespace tenon::image {
namespace {

struct Close {
  void operator()(void* handle) const noexcept { tjDestroy(handle); }
};
using Handle = std::unique_ptr<void, Close>;

Handle opened(tjhandle handle) {
  if (handle == nullptr) fail(ErrorCode::resource, "no memory for a JPEG file");
  return Handle(handle);
}

using Bytes = std::span<const std::uint8_t>;

// The two ways of writing numbers in a TIFF structure.
struct Tiff {
  Bytes bytes;
  bool big;

  std::optional<std::uint32_t> number(std::size_t at, std::size_t size) const {
    if (at > bytes.size() || size > bytes.size() - at) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value = value << 8 | bytes[big ? at + i : at + size - 1 - i];
    }
    return value;
  }
};

// The value of tag 0x112 in the first directory; 1 when there is none.
int tiff_orientation(Bytes bytes) {
  if (bytes.size() < 8) return 1;
  const Tiff tiff{bytes, bytes[0] == 'M'};
  const std::size_t directory = tiff.number(4, 4).value_or(0);
  const std::uint32_t entries = tiff.number(directory, 2).value_or(0);
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + std::size_t{12} * i;
    const auto tag = tiff.number(entry, 2);
    if (!tag) return 1;
    if (*tag == 0x112) return static_cast<int>(tiff.number(entry + 8, 2).value_or(1));
  }
  return 1;
}

// Walks the markers before the first scan to the APP1 segment of EXIF.
int exif_orientation(Bytes file) {
  std::size_t at = 2;
  while (at + 4 <= file.size() && file[at] == 0xFF && file[at + 1] != 0xDA) {
    const std::size_t length = std::size_t{file[at + 2]} << 8 | file[at + 3];
    if (length < 2 || length > file.size() - at - 2) return 1;
    const Bytes segment = file.subspan(at + 4, length - 2);
    const bool exif = file[at + 1] == 0xE1 && segment.size() > 6 && segment[0] == 'E' &&
                      segment[1] == 'x' && segment[2] == 'i' && segment[3] == 'f';
    if (exif) return tiff_orientation(segment.subspan(6));
    at += 2 + length;
  }
  return 1;
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes) {
  const Handle handle = opened(tjInitDecompress());
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0;
  int height = 0;
  int sampling = 0;
  int space = 0;
  if (tjDecompressHeader3(handle.get(), data, bytes.size(), &width, &height, &sampling, &space) !=
      0) {
    bad_input("JPEG: {}", tjGetErrorStr2(handle.get()));
  }
  if (space == TJCS_CMYK || space == TJCS_YCCK) {
    throw Error(ErrorCode::bad_input, "JPEG: the picture is in four inks (CMYK)")
        .hint("save it as RGB");
  }
  Image image(width, height, space == TJCS_GRAY ? 1 : 3);
  const int format = image.channels() == 1 ? TJPF_GRAY : TJPF_RGB;
  if (tjDecompress2(handle.get(), data, bytes.size(), image.pixels().data(), width, 0, height,
                    format, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0) {
    bad_input("JPEG: {}", tjGetErrorStr2(handle.get()));
  }
  return oriented(std::move(image), exif_orientation({data, bytes.size()}));
}

std::string encode_jpeg(const Image& image, int quality) {
  if (quality < 1 || quality > 100) {
    fail(ErrorCode::usage, "a JPEG quality of {}; expected 1 to 100", quality);
  }
  const Image opaque = image.channels() == 4 ? to_rgb(image) : image;
  const Handle handle = opened(tjInitCompress());
  const bool gray = opaque.channels() == 1;
  const int sampling = gray ? TJSAMP_GRAY : quality >= 90 ? TJSAMP_444 : TJSAMP_420;
  unsigned char* out = nullptr;
  unsigned long size = 0;
  const int failed =
      tjCompress2(handle.get(), opaque.pixels().data(), static_cast<int>(opaque.width()), 0,
                  static_cast<int>(opaque.height()), gray ? TJPF_GRAY : TJPF_RGB, &out, &size,
                  sampling, quality, TJFLAG_ACCURATEDCT);
  const std::unique_ptr<unsigned char, decltype(&tjFree)> owned(out, tjFree);
  if (failed != 0) fail(ErrorCode::resource, "JPEG: {}", tjGetErrorStr2(handle.get()));
  return {reinterpret_cast<const char*>(out), size};
}

}  // namespace tenon::image
