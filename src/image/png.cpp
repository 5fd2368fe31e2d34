#include "image/png.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>

#include <png.h>

#include "base/error.h"

namespace tenon::image {
namespace {

constexpr png_alloc_size_t kMaxChunk = 8U << 20;
constexpr png_uint_32 kMaxChunks = 1000;

// libpng reports by longjmp, which must not pass a destructor: the functions that call setjmp hold
// plain pointers only, and the message waits here.
struct Session {
  const png_byte* data = nullptr;
  std::size_t size = 0;
  std::size_t at = 0;
  std::string* out = nullptr;
  std::array<char, 160> message{};
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* session = static_cast<Session*>(png_get_error_ptr(png));
  std::strncpy(session->message.data(), message, session->message.size() - 1);
  std::longjmp(png_jmpbuf(png), 1);
}
void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  if (count > session->size - session->at) png_error(png, "the file ends inside");
  std::memcpy(to, session->data + session->at, count);
  session->at += count;
}

void write_bytes(png_structp png, png_bytep from, std::size_t count) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  bool full = false;
  try {
    session->out->append(reinterpret_cast<const char*>(from), count);
  } catch (const std::bad_alloc&) {
    full = true;
  }
  if (full) png_error(png, "no memory is left");
}

struct Reader {
  Session session;
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

bool read_header(Reader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_read_fn(reader.png, &reader.session, read_bytes);
  png_set_user_limits(reader.png, kMaxSide, kMaxSide);
  png_set_chunk_malloc_max(reader.png, kMaxChunk);
  png_set_chunk_cache_max(reader.png, kMaxChunks);
  png_read_info(reader.png, reader.info);
  const int type = png_get_color_type(reader.png, reader.info);
  png_set_expand(reader.png);
  png_set_strip_16(reader.png);
  if (type == PNG_COLOR_TYPE_GRAY_ALPHA ||
      (type == PNG_COLOR_TYPE_GRAY && png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) != 0)) {
    png_set_gray_to_rgb(reader.png);
  }
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

bool read_rows(Reader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, reader.info);
  return true;
}

std::string latin1_to_utf8(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xC0 | byte >> 6);
      out += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return out;
}

// The text as Latin-1; false when a character is not in it.
bool utf8_to_latin1(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      out += text[i];
    } else if ((byte == 0xC2 || byte == 0xC3) && i + 1 < text.size()) {
      out += static_cast<char>((byte & 3) << 6 | (text[++i] & 0x3F));
    } else {
      return false;
    }
  }
  return true;
}

void take_texts(Reader& reader, std::vector<PngText>& texts) {
  png_textp chunks = nullptr;
  int count = 0;
  png_get_text(reader.png, reader.info, &chunks, &count);
  for (int i = 0; i < count; ++i) {
    const png_text& chunk = chunks[i];
    if (chunk.text == nullptr) continue;
    const bool utf8 = chunk.compression >= PNG_ITXT_COMPRESSION_NONE;
    texts.push_back({latin1_to_utf8(chunk.key), utf8 ? chunk.text : latin1_to_utf8(chunk.text)});
  }
}

struct Writer {
  Session session;
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

struct Header {
  png_uint_32 width, height;
  int type;
};

bool write_all(Writer& writer, const Header& header, png_textp texts, int text_count,
               png_bytepp rows) {
  if (setjmp(png_jmpbuf(writer.png))) return false;
  png_set_write_fn(writer.png, &writer.session, write_bytes, nullptr);
  png_set_IHDR(writer.png, writer.info, header.width, header.height, 8, header.type,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (text_count > 0) png_set_text(writer.png, writer.info, texts, text_count);
  png_write_info(writer.png, writer.info);
  png_write_image(writer.png, rows);
  png_write_end(writer.png, nullptr);
  return true;
}

template <typename Pixel, typename Picture>
std::vector<Pixel*> row_pointers(Picture& image) {
  std::vector<Pixel*> rows;
  for (std::int64_t y = 0; y < image.height(); ++y)
    rows.push_back(const_cast<Pixel*>(image.row(y)));
  return rows;
}

void check_keyword(const std::string& keyword) {
  const bool printable =
      std::all_of(keyword.begin(), keyword.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (keyword.empty() || keyword.size() > 79 || !printable || keyword.front() == ' ' ||
      keyword.back() == ' ') {
    fail(ErrorCode::usage,
         "\"{}\" cannot name a text in a PNG file; 1 to 79 printable characters can", keyword);
  }
}

}  // namespace

Image decode_png(std::span<const std::byte> bytes, std::vector<PngText>* texts) {
  Reader reader;
  reader.session.data = reinterpret_cast<const png_byte*>(bytes.data());
  reader.session.size = bytes.size();
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader.session, on_error, on_warning);
  if (reader.png != nullptr) reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) fail(ErrorCode::resource, "no memory to read a PNG file");
  if (!read_header(reader)) bad_input("PNG: {}", reader.session.message.data());
  Image image(png_get_image_width(reader.png, reader.info),
              png_get_image_height(reader.png, reader.info),
              png_get_channels(reader.png, reader.info));
  auto rows = row_pointers<png_byte>(image);
  if (!read_rows(reader, rows.data())) bad_input("PNG: {}", reader.session.message.data());
  if (texts != nullptr) take_texts(reader, *texts);
  return image;
}

std::string encode_png(const Image& image, const std::vector<PngText>& texts) {
  std::vector<std::string> values(texts.size());
  std::vector<png_text> chunks(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    check_keyword(texts[i].keyword);
    const bool latin = utf8_to_latin1(texts[i].text, values[i]);
    if (!latin) values[i] = texts[i].text;
    chunks[i] = {};
    chunks[i].compression = latin ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    chunks[i].key = const_cast<char*>(texts[i].keyword.c_str());
    chunks[i].text = values[i].data();
    (latin ? chunks[i].text_length : chunks[i].itxt_length) = values[i].size();
  }
  std::string out;
  Writer writer;
  writer.session.out = &out;
  writer.png =
      png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer.session, on_error, on_warning);
  if (writer.png != nullptr) writer.info = png_create_info_struct(writer.png);
  if (writer.info == nullptr) fail(ErrorCode::resource, "no memory to write a PNG file");
  const Header header{static_cast<png_uint_32>(image.width()),
                      static_cast<png_uint_32>(image.height()),
                      image.channels() == 1   ? PNG_COLOR_TYPE_GRAY
                      : image.channels() == 3 ? PNG_COLOR_TYPE_RGB
                                              : PNG_COLOR_TYPE_RGB_ALPHA};
  auto rows = row_pointers<png_byte>(image);
  if (!write_all(writer, header, chunks.data(), static_cast<int>(chunks.size()), rows.data())) {
    fail(ErrorCode::resource, "PNG: {}", writer.session.message.data());
  }
  return out;
}

}  // namespace tenon::image
