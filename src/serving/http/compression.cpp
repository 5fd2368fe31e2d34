#include "serving/http/compression.h"

#include <algorithm>
#include <limits>
#include <new>

#include <zlib.h>

namespace tenon::serving::http {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10;
constexpr int kWindow = 15, kGzipWindow = 15 + 16;  // as zlib tells the two formats apart

int window_of(Encoding encoding) { return encoding == Encoding::gzip ? kGzipWindow : kWindow; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return made;
}

// Whether the weight behind a coding is more than nothing: "q=0", "q=0.0" ... refuse it.
bool weighs(std::string_view parameters) {
  const auto q = lower(parameters).find("q=");
  if (q == std::string::npos) return true;
  const std::string_view weight = trimmed(parameters.substr(q + 2));
  return weight.find_first_not_of("0.") != std::string_view::npos;
}

class Stream {
 public:
  Stream(std::string_view input, int (*end)(z_streamp)) : end_(end), left_(input) {}
  ~Stream() { end_(&z_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  z_stream* operator->() { return &z_; }
  z_stream* get() { return &z_; }
  /// Gives zlib the next input, whose sizes are 32 bits.
  void feed() {
    if (z_.avail_in > 0) return;
    const std::size_t size = std::min<std::size_t>(left_.size(), 1U << 30);
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(left_.data()));
    z_.avail_in = static_cast<uInt>(size);
    left_.remove_prefix(size);
  }
  bool fed() const { return left_.empty(); }

 private:
  z_stream z_{};
  int (*end_)(z_streamp);
  std::string_view left_;
};

}  // namespace

const char* encoding_name(Encoding encoding) {
  return encoding == Encoding::gzip ? "gzip" : "deflate";
}

std::optional<Encoding> encoding_of(std::string_view content_encoding) {
  const std::string name = lower(trimmed(content_encoding));
  if (name == "gzip" || name == "x-gzip") return Encoding::gzip;
  if (name == "deflate") return Encoding::deflate;
  return std::nullopt;
}

std::optional<Encoding> accepted_encoding(std::string_view accept_encoding) {
  std::optional<Encoding> found;
  while (!accept_encoding.empty()) {
    const auto comma = accept_encoding.find(',');
    const std::string_view one = trimmed(accept_encoding.substr(0, comma));
    const auto semicolon = one.find(';');
    const auto encoding = encoding_of(one.substr(0, semicolon));
    const bool liked = semicolon == std::string_view::npos || weighs(one.substr(semicolon + 1));
    if (encoding && liked && found != Encoding::gzip) found = encoding;
    if (comma == std::string_view::npos) break;
    accept_encoding.remove_prefix(comma + 1);
  }
  return found;
}

Inflated inflated(std::string_view bytes, Encoding encoding, std::uint64_t limit,
                  const std::function<bool(std::uint64_t)>& hold) {
  Inflated made;
  const auto ended = [&](Inflated::End end) {
    made.end = end;
    made.bytes.clear();
    return std::move(made);
  };
  Stream stream(bytes, inflateEnd);
  if (inflateInit2(stream.get(), window_of(encoding)) != Z_OK)
    return ended(Inflated::End::no_memory);
  std::string piece(kPiece, '\0');
  while (true) {
    stream.feed();
    stream->next_out = reinterpret_cast<Bytef*>(piece.data());
    stream->avail_out = static_cast<uInt>(piece.size());
    const int result = ::inflate(stream.get(), Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) return ended(Inflated::End::no_memory);
    if (result != Z_OK && result != Z_STREAM_END) return ended(Inflated::End::malformed);
    const std::size_t size = piece.size() - stream->avail_out;
    if (made.bytes.size() + size > limit) return ended(Inflated::End::too_long);
    if (size > 0 && !hold(size)) return ended(Inflated::End::no_memory);
    made.bytes.append(piece.data(), size);
    if (result == Z_STREAM_END) {
      if (stream->avail_in == 0 && stream.fed()) return made;
      // gzip files may follow one another (RFC 1952, section 2.2).
      if (encoding != Encoding::gzip || inflateReset(stream.get()) != Z_OK)
        return ended(Inflated::End::malformed);
    }
  }
}

std::string deflated(std::string_view bytes, Encoding encoding) {
  Stream stream(bytes, deflateEnd);
  constexpr int kMemory = 8;  // zlib's default
  if (deflateInit2(stream.get(), Z_BEST_SPEED, Z_DEFLATED, window_of(encoding), kMemory,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  std::string made;
  std::string piece(kPiece, '\0');
  int result = Z_OK;
  while (result != Z_STREAM_END) {
    stream.feed();
    stream->next_out = reinterpret_cast<Bytef*>(piece.data());
    stream->avail_out = static_cast<uInt>(piece.size());
    result = ::deflate(stream.get(), stream.fed() ? Z_FINISH : Z_NO_FLUSH);
    if (result == Z_STREAM_ERROR) throw std::bad_alloc();
    made.append(piece.data(), piece.size() - stream->avail_out);
  }
  return made;
}

}  // namespace tenon::serving::http
