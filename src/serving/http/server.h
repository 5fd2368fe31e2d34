// HTTP/1.1 over asynchronous sockets: limits on everything a client sends, answers in one piece or
// as a stream, keys in front of the routes, and an end that loses no answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "serving/http/api_keys.h"
#include "serving/http/message.h"
#include "serving/http/router.h"
#include "serving/trace_settings.h"

namespace tenon::serving::http {

struct Limits {
  std::uint32_t header_bytes = 32 << 10;
  std::uint64_t body_bytes = std::uint64_t{64} << 20;     ///< as sent, and as it is when unpacked
  std::uint64_t all_body_bytes = std::uint64_t{1} << 30;  ///< of all requests that are held
  std::size_t connections = 1024;
  std::size_t queue = 256;                      ///< requests that may wait for a worker
  std::size_t pending = std::size_t{64} << 20;  ///< unsent bytes of a reader that is too slow
  std::size_t compress_from =
      1024;  ///< bytes of an answer that is compressed where the client asks
  std::chrono::seconds header_time{30};  ///< for the whole header; also how long one may idle
  std::chrono::seconds body_time{120};   ///< for the whole body
  std::chrono::seconds write_time{60};   ///< for one write of an answer
};

/// One line of the access log.
struct AccessRecord {
  std::string id, trace_id, client, method, path;
  int status = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  double seconds = 0;
  bool streamed = false;
  bool gone = false;  ///< the client went before the end
};

struct Options {
  Limits limits;
  std::size_t io_threads = 2;
  std::size_t workers = 32;
  std::shared_ptr<const ApiKeys> keys;  ///< null: everybody may ask
  std::filesystem::path certificate;    ///< PEM chain; empty: no TLS
  std::filesystem::path private_key;
  std::function<void(const AccessRecord&)> on_access;  ///< from any thread; may be empty
  std::shared_ptr<TraceSettings> traces;               ///< for the handlers; may be null
};

/// A port with its table. `error_body` writes the body of what the server itself refuses.
struct Endpoint {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free one
  std::shared_ptr<const Router> router;
  std::function<std::string(int status, const std::string& message, const std::string& path)>
      error_body;
};

class Server {
 public:
  /// Error(bad_input) when certificate or key cannot be used.
  explicit Server(Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Answers from now on; returns the port. Error(resource) when it cannot be had.
  std::uint16_t listen(Endpoint endpoint);
  /// Takes no new connections, closes those that idle, and waits until the answers under way have
  /// been sent, at most for `patience`; then closes the rest. Returns how many were cut off.
  std::size_t drain(std::chrono::milliseconds patience);
  std::size_t connections() const;

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace tenon::serving::http
