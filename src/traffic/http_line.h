// One connection of the client: connects, writes a request, tells the answer, waits for the next.
// Included by http_client.cpp alone, since the HTTP library takes its time to compile.
#pragma once

#include <algorithm>
#include <array>
#include <optional>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast.hpp>
#include <boost/beast/ssl.hpp>

#include "base/error.h"
#include "traffic/http_client.h"

namespace tenon::traffic {

namespace net = boost::asio;
namespace beast = boost::beast;
using BoostError = boost::system::error_code;

struct Job {
  std::string head;
  std::string body;
  std::shared_ptr<Receiver> receiver;
  bool retried = false;
};

class Line {
 public:
  virtual ~Line() = default;
  virtual void begin(Job job) = 0;
  virtual void abort() = 0;
};

/// What a connection needs of the client.
struct Owner {
  virtual ~Owner() = default;
  virtual const HttpOptions& options() const = 0;
  virtual const net::ip::tcp::resolver::results_type& places() const = 0;
  virtual const Url& url() const = 0;
  virtual void kept(std::shared_ptr<Line> line) = 0;  ///< free for the next request
  virtual void gone(Line* line) = 0;                  ///< not usable any more
  virtual void over() = 0;                            ///< a request has ended
  virtual void again(Job job) = 0;                    ///< a kept connection was closed
};

template <typename Stream>
class HttpLine final : public Line, public std::enable_shared_from_this<HttpLine<Stream>> {
 public:
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;

  template <typename... Args>
  explicit HttpLine(Owner& owner, Args&&... args)
      : owner_(owner), stream_(std::forward<Args>(args)...) {}

  void begin(Job job) override {
    job_ = std::move(job);
    answered_ = false;
    if (connected_) return write();
    lowest().expires_after(owner_.options().connect_time);
    lowest().async_connect(owner_.places(), then([this](BoostError error, const auto&...) {
                             if (error) return fail(Failure::connect, error);
                             BoostError ignored;
                             lowest().socket().set_option(net::ip::tcp::no_delay(true), ignored);
                             secure();
                           }));
  }

  void abort() override {
    aborted_ = true;
    close();
  }

 private:
  using Parser = beast::http::response_parser<beast::http::buffer_body>;

  beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }
  template <typename Body>
  auto then(Body body) {
    return [self = this->shared_from_this(), body](auto&&... args) mutable { body(args...); };
  }

  void secure() {
    if constexpr (kTls) {
      const std::string& host = owner_.url().host;
      if (owner_.options().check_certificate)
        stream_.set_verify_callback(net::ssl::host_name_verification(host));
      SSL_set_tlsext_host_name(stream_.native_handle(), host.c_str());
      stream_.async_handshake(net::ssl::stream_base::client, then([this](BoostError error) {
                                if (error) return fail(Failure::connect, error);
                                connected_ = true;
                                write();
                              }));
    } else {
      connected_ = true;
      write();
    }
  }

  void write() {
    lowest().expires_after(owner_.options().request_time);
    job_.receiver->on_sent(Clock::now());
    const std::array<net::const_buffer, 2> bytes = {net::buffer(job_.head), net::buffer(job_.body)};
    // A server may answer, and close, before it has read all: the answer tells more than the error.
    net::async_write(stream_, bytes, then([this](BoostError error, std::size_t) {
                       if (error == beast::error::timeout) return fail(Failure::timeout, error);
                       read_header();
                     }));
  }

  void read_header() {
    parser_.emplace();
    parser_->header_limit(owner_.options().header_bytes);
    parser_->body_limit(owner_.options().body_bytes);
    beast::http::async_read_header(stream_, buffer_, *parser_,
                                   then([this](BoostError error, std::size_t) {
                                     if (error) return fail(kind_of(error), error);
                                     on_header();
                                   }));
  }

  void on_header() {
    answered_ = true;
    const auto& message = parser_->get();
    if (message.result_int() / 100 == 1) return read_header();
    HttpAnswer answer;
    answer.status = static_cast<int>(message.result_int());
    for (const auto& field : message) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
      answer.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    if (!tell([&] { job_.receiver->on_header(answer); })) return;
    read_body();
  }

  void read_body() {
    if (parser_->is_done()) return finish();
    auto& body = parser_->get().body();
    body.data = piece_.data();
    body.size = piece_.size();
    body.more = true;
    beast::http::async_read_some(
        stream_, buffer_, *parser_, then([this](BoostError error, std::size_t) {
          const auto now = Clock::now();
          const std::size_t got = piece_.size() - parser_->get().body().size;
          if (got > 0 &&
              !tell([&] { job_.receiver->on_body(std::string_view(piece_.data(), got), now); }))
            return;
          if (error == beast::http::error::need_buffer) error = {};
          if (kTls && error == net::ssl::error::stream_truncated) {
            error = {};
            parser_->put_eof(error);
          }
          if (error) return fail(kind_of(error), error);
          read_body();
        }));
  }

  void finish() {
    const bool keep = parser_->keep_alive() && !aborted_;
    const auto job = std::exchange(job_, {});
    used_ = true;
    lowest().expires_never();
    // First the connection, so that a request which follows at once finds it free.
    if (keep)
      owner_.kept(this->shared_from_this());
    else
      close();
    job.receiver->on_end(Clock::now());
    owner_.over();
  }

  template <typename Body>
  bool tell(Body body) {
    try {
      body();
      return true;
    } catch (const Error& error) {
      lose(Failure::malformed, error.what());
      return false;
    }
  }

  static Failure kind_of(BoostError error) {
    if (error == beast::error::timeout) return Failure::timeout;
    if (error == beast::http::error::end_of_stream || error == beast::http::error::partial_message)
      return Failure::cut;
    static const auto& kFormat =
        beast::http::make_error_code(beast::http::error::bad_version).category();
    return error.category() == kFormat ? Failure::malformed : Failure::cut;
  }

  void fail(Failure failure, BoostError error) {
    if (failure == Failure::cut && !answered_ && used_ && !job_.retried && !aborted_) {
      Job job = std::exchange(job_, {});
      job.retried = true;
      close();
      return owner_.again(std::move(job));
    }
    if (error == beast::error::timeout) {
      return failure == Failure::connect
                 ? lose(failure, "no connection within the time for it")
                 : lose(Failure::timeout, "no whole answer within the time for a request");
    }
    lose(failure,
         error == beast::http::error::end_of_stream || error == beast::http::error::partial_message
             ? "the server closed the connection before the end of the answer"
             : error.message());
  }

  void lose(Failure failure, const std::string& message) {
    close();
    const auto job = std::exchange(job_, {});
    if (job.receiver == nullptr) return;
    job.receiver->on_failure(aborted_ ? Failure::cancelled : failure,
                             aborted_ ? "stopped" : message, Clock::now());
    owner_.over();
  }

  void close() {
    BoostError ignored;
    lowest().socket().close(ignored);
    lowest().cancel();
    owner_.gone(this);
  }

  Owner& owner_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::array<char, 16 << 10> piece_{};
  Job job_;
  bool connected_ = false;
  bool answered_ = false;
  bool aborted_ = false;
  bool used_ = false;
};

}  // namespace tenon::traffic
