#include "image/file.h"

#include <algorithm>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "image/jpeg.h"
#include "image/webp.h"

namespace tenon::image {

Image decode_image(std::span<const std::byte> bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min<std::size_t>(bytes.size(), 16));
  if (start.starts_with("\x89PNG\r\n\x1a\n")) return decode_png(bytes);
  if (start.starts_with("\xff\xd8\xff")) return decode_jpeg(bytes);
  if (start.size() >= 12 && start.starts_with("RIFF") && start.substr(8, 4) == "WEBP") {
    return decode_webp(bytes);
  }
  throw Error(ErrorCode::bad_input,
              bytes.empty() ? "the file is empty" : "the file starts as no known picture does")
      .hint("PNG, JPEG and WebP files are read");
}

Image read_image(const std::filesystem::path& path) {
  return with_context(path.string(), [&] {
    const std::string bytes = read_file(path);
    return decode_image(std::as_bytes(std::span(bytes)));
  });
}

Format format_of(const std::filesystem::path& path) {
  std::string end = path.extension().string();
  std::transform(end.begin(), end.end(), end.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (end == ".png") return Format::png;
  if (end == ".jpg" || end == ".jpeg") return Format::jpeg;
  if (end == ".webp") return Format::webp;
  throw Error(ErrorCode::usage,
              fmt::format("{}: \"{}\" names no known format of pictures", path.string(), end))
      .hint("end the name with .png, .jpg or .webp");
}

std::string encode_image(const Image& image, Format format, const WriteOptions& options) {
  switch (format) {
    case Format::png:
      return encode_png(image, options.texts);
    case Format::jpeg:
      return encode_jpeg(image, options.quality);
    case Format::webp:
      return encode_webp(image, options.quality);
  }
  fail(ErrorCode::internal, "unknown format of pictures");
}

void write_image(const std::filesystem::path& path, const Image& image,
                 const WriteOptions& options) {
  const Format format = format_of(path);
  with_context(path.string(), [&] { write_file(path, encode_image(image, format, options)); });
}

}  // namespace tenon::image
