// A connection: reads a request, watches the client while it is answered, writes, and begins anew.
// Included by server.cpp alone, since the HTTP library takes its time to compile.
#pragma once

#include <algorithm>
#include <atomic>
#include <random>

#include <boost/asio/ssl.hpp>
#include <boost/beast.hpp>
#include <boost/beast/ssl.hpp>
#include <poll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "serving/http/turn.h"

namespace tenon::serving::http {

namespace net = boost::asio;
namespace beast = boost::beast;
using BoostError = boost::system::error_code;

std::string request_id(std::string_view given);
/// Runs the handler; an Error that leaves it is answered through `endpoint`.
void dispatch(const Handler& handler, const std::shared_ptr<Exchange>& exchange,
              const Endpoint& endpoint);

/// Unpacks the body; false when it was answered instead. It takes its time.
bool unpacked(Turn& turn, Encoding encoding, const Endpoint& endpoint);
/// The WWW-Authenticate of a refusal.
const char* challenge(const Request& request);

template <typename Stream>
class Connection final : public Managed,
                         public Line,
                         public std::enable_shared_from_this<Connection<Stream>> {
 public:
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;

  template <typename... Args>
  Connection(std::shared_ptr<Shared> shared, std::shared_ptr<const Endpoint> endpoint,
             std::string peer, Args&&... args)
      : shared_(std::move(shared)),
        endpoint_(std::move(endpoint)),
        peer_(std::move(peer)),
        stream_(std::forward<Args>(args)...),
        tick_(stream_.get_executor()) {
    shared_->add(this);
  }
  ~Connection() override {
    shared_->held.fetch_sub(held_);
    shared_->remove(this);
  }

  void run() {
    // Nobody else holds it yet.
    net::post(stream_.get_executor(), [this, self = this->shared_from_this()] {
      if constexpr (kTls) {
        lowest().expires_after(limits().header_time);
        stream_.async_handshake(net::ssl::stream_base::server, then([this](BoostError error) {
                                  if (!error) read_header();
                                }));
      } else {
        read_header();
      }
    });
  }

  void retire() override {
    on_strand([this] {
      if (idle_ && buffer_.size() == 0) close();
    });
  }
  void abort() override {
    on_strand([this] { close(); });
  }
  void send(std::string bytes) override {
    on_strand([this, bytes = std::move(bytes)] {
      outgoing_ += bytes;
      flush();
    });
  }
  void end(bool keep) override {
    on_strand([this, keep] {
      ending_ = true;
      keep_ = keep;
      flush();
    });
  }
  void drop() override { abort(); }

 private:
  using Parser = beast::http::request_parser<beast::http::string_body>;
  static constexpr std::size_t kPiece = std::size_t{64} << 10;  // of a long body

  const Limits& limits() const { return shared_->options.limits; }
  beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }

  // What is posted keeps the connection; one that is going already needs nothing more.
  template <typename Body>
  void on_strand(Body body) {
    auto self = this->weak_from_this().lock();
    if (self == nullptr) return;
    net::post(stream_.get_executor(),
              [self = std::move(self), body = std::move(body)]() mutable { body(); });
  }
  // A completion that keeps the connection alive.
  template <typename Body>
  auto then(Body body) {
    return [self = this->shared_from_this(), body](auto&&... args) mutable { body(args...); };
  }

  void close() {
    if (closed_) return;
    closed_ = true;
    BoostError ignored;
    tick_.cancel();
    lowest().socket().close(ignored);
    lowest().cancel();
    busy_ = false;
    if (const auto turn = turn_.lock()) turn->lose();
  }
  static bool is_continue(std::string_view value) {
    return beast::iequals(beast::string_view(value.data(), value.size()), "100-continue");
  }

  void read_header() {
    if (closed_) return;
    if (shared_->draining && buffer_.size() == 0) return close();
    parser_.emplace();
    parser_->header_limit(limits().header_bytes);
    parser_->body_limit(limits().body_bytes);
    idle_ = true;
    lowest().expires_after(limits().header_time);
    beast::http::async_read_header(
        stream_, buffer_, *parser_,
        then([this](BoostError error, std::size_t) { on_header(error); }));
  }

  void on_header(BoostError error) {
    idle_ = false;
    if (closed_) return;
    if (error && !is_format_error(error)) return linger();
    request_ = Request();
    route_ = Router::Match();
    read_fields();
    old_ = parser_->get().version() < 11;
    keep_ = !error && parser_->keep_alive();
    if (error) return refuse_format(error);
    route_ = endpoint_->router->match(request_.method, request_.path);
    const bool open = route_.route != nullptr && route_.route->access == Access::open;
    if (shared_->options.keys && !open) {
      const auto client = shared_->options.keys->client_of(request_);
      if (!client)
        return refuse(401, "a valid API key is missing: give it as Authorization: Bearer");
      request_.client = *client;
    }
    if (route_.route == nullptr) return refuse(route_.status, refusal());
    const std::string_view packed = request_.header("content-encoding");
    encoding_ = encoding_of(packed);
    if (!encoding_ && !packed.empty() && packed != "identity")
      return refuse(415, "Content-Encoding is not supported: only gzip or deflate are");
    request_.parts = std::move(route_.parts);
    lowest().expires_after(limits().body_time);
    if (!parser_->is_done() && is_continue(request_.header("expect"))) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      return net::async_write(stream_, net::buffer(kContinue),
                              then([this](BoostError failed, std::size_t) {
                                if (failed) return close();
                                read_body();
                              }));
    }
    read_body();
  }

  void read_fields() {
    const auto& message = parser_->get();
    const std::string_view target(message.target().data(), message.target().size());
    const auto question = target.find('?');
    request_.method = std::string(message.method_string());
    request_.path = target.substr(0, question);
    if (question != std::string_view::npos) request_.query = target.substr(question + 1);
    for (const auto& field : message) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
      std::string& value = request_.headers[name];
      value += (value.empty() ? "" : ", ") + std::string(field.value());
    }
    request_.id = request_id(request_.header("x-request-id"));
    request_.client = peer_;
  }

  std::string refusal() const {
    if (route_.status == 405)
      return request_.method + " is not possible here, only " + route_.allow;
    if (route_.status == 400) return "the path is malformed";
    return "nothing stands at this path";
  }

  static bool is_format_error(BoostError error) {
    return error.category() ==
               beast::http::make_error_code(beast::http::error::bad_method).category() &&
           error != beast::http::error::end_of_stream &&
           error != beast::http::error::partial_message;
  }

  void refuse_format(BoostError error) {
    if (error == beast::http::error::header_limit)
      return refuse(
          431, "the header is longer than " + std::to_string(limits().header_bytes) + " bytes");
    if (error == beast::http::error::body_limit)
      return refuse(413,
                    "the body is longer than " + std::to_string(limits().body_bytes) + " bytes");
    refuse(400, "malformed HTTP: " + error.message());
  }

  // Answers before the body is read; the rest of the request is thrown away.
  void refuse(int status, const std::string& message) {
    keep_ = keep_ && parser_->is_done();
    const auto turn = begin_turn();
    Response response{status,
                      endpoint_->error_body(status, message, turn->request().path),
                      "application/json",
                      {}};
    if (status == 405) response.headers.emplace_back("Allow", route_.allow);
    if (status == 401)
      response.headers.emplace_back("WWW-Authenticate", challenge(turn->request()));
    turn->respond(std::move(response));
  }

  void read_body() {
    if (closed_) return;
    if (parser_->is_done()) return on_body();
    if (buffer_.capacity() < kPiece &&
        parser_->content_length_remaining().value_or(kPiece) >= kPiece)
      buffer_.reserve(kPiece);
    beast::http::async_read_some(stream_, buffer_, *parser_,
                                 then([this](BoostError error, std::size_t) {
                                   if (closed_) return;
                                   if (error && is_format_error(error)) {
                                     keep_ = false;
                                     return refuse_format(error);
                                   }
                                   if (error == beast::error::timeout) {
                                     keep_ = false;
                                     return refuse(408, "the body did not arrive in time");
                                   }
                                   if (error) return close();
                                   if (!hold_body())
                                     return refuse(503, "too much is being sent: try again");
                                   read_body();
                                 }));
  }

  bool hold_body() {
    const std::uint64_t now = parser_->get().body().size();
    if (now > held_) {
      if (!shared_->hold(now - held_)) return false;
      held_ = now;
    }
    return true;
  }

  void on_body() {
    request_.body = std::move(parser_->get().body());
    lowest().expires_never();
    const Route& route = *route_.route;
    const std::shared_ptr<Turn> exchange = begin_turn();
    if (exchange->request().body.empty()) encoding_.reset();
    watch();
    if (route.pace == Pace::quick && !encoding_)
      return dispatch(route.handler, exchange, *endpoint_);
    const bool posted =
        shared_->workers->post([&route, exchange, endpoint = endpoint_, encoding = encoding_] {
          if (exchange->gone()) return;
          if (encoding && !unpacked(*exchange, *encoding, *endpoint)) return;
          dispatch(route.handler, exchange, *endpoint);
        });
    if (!posted) {
      exchange->respond({503,
                         endpoint_->error_body(503, "too many requests wait: try again",
                                               exchange->request().path),
                         "application/json",
                         {{"Retry-After", "1"}}});
    }
  }

  // Held by handlers alone: when the last one lets go without an answer, the turn answers itself.
  std::shared_ptr<Turn> begin_turn() {
    ending_ = false;
    busy_ = true;
    auto turn =
        std::make_shared<Turn>(std::move(request_), this->shared_from_this(), shared_, keep_, old_);
    turn->hold(std::exchange(held_, 0));
    turn_ = turn;
    return turn;
  }

  // Tells when the client goes while its answer is made. What it may send ahead is left unread, and
  // then only the end of its sending tells.
  void watch() {
    lowest().socket().async_wait(
        net::socket_base::wait_read, then([this, number = turns_](BoostError error) {
          if (error || closed_ || number != turns_ || !busy_) return;
          char byte = 0;
          const auto got =
              ::recv(lowest().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
          if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) return close();
          poll_later(number);
        }));
  }
  void poll_later(std::uint64_t number) {
    tick_.expires_after(std::chrono::milliseconds(200));
    tick_.async_wait(then([this, number](BoostError error) {
      if (error || closed_ || number != turns_ || !busy_) return;
      pollfd one{lowest().socket().native_handle(), POLLRDHUP, 0};
      if (::poll(&one, 1, 0) > 0 && (one.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
        return close();
      poll_later(number);
    }));
  }

  void flush() {
    if (closed_ || writing_) return;
    if (outgoing_.empty()) {
      if (ending_) end_turn();
      return;
    }
    if (sent_at_once()) {
      if (ending_) end_turn();
      return;
    }
    writing_ = true;
    sending_.clear();
    sending_.swap(outgoing_);
    lowest().expires_after(limits().write_time);
    net::async_write(stream_, net::buffer(sending_),
                     then([this](BoostError error, std::size_t size) {
                       writing_ = false;
                       if (closed_) return;
                       if (error) return close();
                       lowest().expires_never();
                       if (const auto turn = turn_.lock()) turn->sent(size);
                       flush();
                     }));
  }

  // A piece of a stream nearly always fits into the socket: no timer is set for it, and no other
  // thread woken. What does not fit stays in outgoing_; an error tells itself to the write after.
  bool sent_at_once() {
    if constexpr (kTls) {
      return false;
    } else {
      const auto size = ::send(lowest().socket().native_handle(), outgoing_.data(),
                               outgoing_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size <= 0) return false;
      outgoing_.erase(0, static_cast<std::size_t>(size));
      if (const auto turn = turn_.lock()) turn->sent(static_cast<std::size_t>(size));
      return outgoing_.empty();
    }
  }

  void end_turn() {
    ending_ = false;
    ++turns_;
    tick_.cancel();
    lowest().socket().cancel();
    busy_ = false;
    if (const auto turn = turn_.lock()) turn->settle();
    turn_.reset();
    if (buffer_.capacity() >= kPiece) buffer_.shrink_to_fit();
    if (keep_ && !shared_->draining) return read_header();
    linger();
  }

  // Says goodbye and reads on for a moment, so that the answer is not lost to a reset.
  void linger() {
    if (closed_) return;
    BoostError ignored;
    lowest().socket().shutdown(net::socket_base::shutdown_send, ignored);
    if (ignored) return close();
    lowest().expires_after(std::chrono::seconds(2));
    discard(std::size_t{16} << 20);
  }
  void discard(std::size_t left) {
    buffer_.clear();
    lowest().async_read_some(buffer_.prepare(std::size_t{64} << 10),
                             then([this, left](BoostError error, std::size_t size) {
                               if (closed_) return;
                               if (error || size >= left) return close();
                               discard(left - size);
                             }));
  }

  std::shared_ptr<Shared> shared_;
  std::shared_ptr<const Endpoint> endpoint_;
  std::string peer_;
  Stream stream_;
  net::steady_timer tick_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Request request_;
  Router::Match route_;
  std::weak_ptr<Turn> turn_;
  std::uint64_t turns_ = 0;
  std::uint64_t held_ = 0;
  std::optional<Encoding> encoding_;
  std::string outgoing_, sending_;
  bool idle_ = false;
  bool busy_ = false;
  bool writing_ = false;
  bool ending_ = false;
  bool keep_ = false;
  bool old_ = false;
  bool closed_ = false;
};

}  // namespace tenon::serving::http
