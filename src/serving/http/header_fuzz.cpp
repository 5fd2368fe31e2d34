// Any bytes as what HTTP carries beside JSON: a path, headers of traces, keys and encodings, packed
// bodies. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <string>

#include "serving/http/api_keys.h"
#include "serving/http/compression.h"
#include "serving/http/router.h"
#include "serving/trace_context.h"

namespace {

namespace http = tenon::serving::http;

void check(bool holds) {
  if (!holds) __builtin_trap();
}

http::Router table() {
  http::Router router;
  const http::Handler nothing = [](const std::shared_ptr<http::Exchange>&) {};
  router.add({"GET", "/v2/models/{model}/versions/{version}", nothing});
  router.add({"POST", "/v2/models/{model}/infer", nothing});
  return router;
}

void read_path(std::string_view text) {
  static const http::Router router = table();
  for (const char* method : {"GET", "POST"}) {
    const auto match = router.match(method, text);
    for (const auto& [name, part] : match.parts) {
      check(!part.empty() && part != "." && part != "..");
      check(part.find('/') == std::string::npos && part.find('\0') == std::string::npos);
    }
  }
}

void read_trace(std::string_view text) {
  const auto made = tenon::serving::trace_context(text);
  check(made.trace_id.size() == 32 && made.span_id.size() == 16);
  check(tenon::serving::trace_context(made.traceparent()).trace_id == made.trace_id);
}

void unpack(std::string_view text, http::Encoding encoding) {
  constexpr std::uint64_t kLimit = 1 << 20;
  std::uint64_t held = 0;
  const auto made = http::inflated(text, encoding, kLimit, [&](std::uint64_t more) {
    held += more;
    return true;
  });
  check(held <= kLimit && made.bytes.size() <= held);
  const std::string packed = http::deflated(text, encoding);
  const auto back =
      http::inflated(packed, encoding, text.size(), [](std::uint64_t) { return true; });
  check(back.end == http::Inflated::End::whole && back.bytes == text);
}

void read_key(std::string_view text) {
  static const http::ApiKeys keys({"the-key-that-nobody-knows"});
  http::Request request;
  request.headers["authorization"] = std::string(text);
  // Only who knows the key gets in.
  if (keys.client_of(request)) check(text.find("key") != text.npos || text.size() > 25);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      read_path(text);
      break;
    case 1:
      read_trace(text);
      break;
    case 2:
      unpack(text, http::Encoding::gzip);
      break;
    case 3:
      unpack(text, http::Encoding::deflate);
      break;
    case 4:
      read_key(text);
      break;
    default:
      (void)http::accepted_encoding(text);
  }
  return 0;
}
