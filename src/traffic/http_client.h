// An HTTP/1.1 client for many requests at once on one thread: kept connections, TLS, answers told
// piece by piece as they arrive, a deadline for each.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "traffic/record.h"
#include "traffic/url.h"

namespace tenon::traffic {

using Clock = std::chrono::steady_clock;

struct HttpRequest {
  std::string method = "POST";
  std::string target;  ///< path behind the server's own, with its slash
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct HttpAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string_view header(std::string_view name) const noexcept;
};

/// Hears of one request, in this order and on the thread that runs the client: on_sent,
/// on_header, on_body any number of times, then on_end or on_failure once. An Error that leaves
/// the first three ends the request as malformed. After `on_failure` with `connect` nothing
/// else was told.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// The request is about to be written. A kept connection that turns out to be closed makes it be
  /// sent, and told, once more.
  virtual void on_sent(Clock::time_point) {}
  virtual void on_header(const HttpAnswer& answer) = 0;
  virtual void on_body(std::string_view piece, Clock::time_point arrived) = 0;
  virtual void on_end(Clock::time_point now) = 0;
  virtual void on_failure(Failure failure, const std::string& message, Clock::time_point now) = 0;
};

struct HttpOptions {
  std::chrono::milliseconds connect_time{10000};
  std::chrono::milliseconds request_time{600000};  ///< from sending to the end of the answer
  std::uint32_t header_bytes = 64 << 10;
  std::uint64_t body_bytes = std::uint64_t{1} << 30;
  std::string key;                    ///< sent as Authorization: Bearer; empty: none
  std::filesystem::path authorities;  ///< PEM file of trusted certificates; empty: the system's
  bool check_certificate = true;
};

class HttpClient {
 public:
  /// Looks the name up. Error(resource) when it is not known, Error(bad_input) for a bad PEM file.
  HttpClient(Url url, HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  const Url& url() const noexcept;

  /// Begins a request; the receiver lives until it has been told the end. Never calls it back
  /// before returning. From the thread of `run`, or before it.
  void send(HttpRequest request, std::shared_ptr<Receiver> receiver);
  /// Calls `body` within `run`, not before `when`.
  void at(Clock::time_point when, std::function<void()> body);
  /// Works until nothing is under way. `go_on` is asked about twenty times a second; once it says
  /// no, everything under way fails as cancelled and what `at` holds is dropped.
  void run(const std::function<bool()>& go_on);

  struct Response {
    HttpAnswer answer;
    std::string body;
  };
  /// One request and its whole answer, whatever the status. Error(resource) when there is none,
  /// Error(interrupted) after Ctrl-C.
  Response fetch(HttpRequest request);

  /// Connections opened so far.
  std::uint64_t connections() const noexcept;

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace tenon::traffic
