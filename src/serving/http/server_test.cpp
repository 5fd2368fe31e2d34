#include "serving/http/server.h"

#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serving/http/compression.h"

namespace tenon::serving::http {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

/// A client that sends what it is told, byte by byte where it must.
class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_port = htons(port);
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0)
      throw std::runtime_error("connect");
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(std::string_view bytes) {
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0;
  }
  void half_close() { ::shutdown(socket_, SHUT_WR); }
  /// Until the server closes.
  std::string rest() {
    std::string all;
    char piece[4096];
    while (true) {
      const ssize_t got = ::recv(socket_, piece, sizeof piece, 0);
      if (got <= 0) return all;
      all.append(piece, static_cast<std::size_t>(got));
    }
  }

 private:
  int socket_;
};

class HttpServer : public testing::Test {
 protected:
  void start(Options options) {
    const auto router = std::make_shared<Router>();
    const Handler echo = [](const std::shared_ptr<Exchange>& exchange) {
      exchange->respond({200, exchange->request().body, "text/plain", {}});
    };
    router->add({"POST", "/echo", echo});
    router->add({"GET", "/quick", echo, Access::keyed, Pace::quick});
    router->add({"GET", "/", echo});
    router->add({"GET", "/open", echo, Access::open});
    router->add({"GET", "/endless", [](const std::shared_ptr<Exchange>& exchange) {
                   exchange->start(200, "text/plain");
                   while (!exchange->gone()) exchange->write(std::string(1 << 16, 'x'));
                 }});
    server_ = std::make_unique<Server>(std::move(options));
    port_ = server_->listen(
        {"127.0.0.1", 0, router,
         [](int, const std::string& message, const std::string&) { return message; }});
  }
  std::string ask(const std::string& request) {
    Client client(port_);
    client.send(request);
    return client.rest();
  }
  bool fills() {
    for (int i = 0; i < 500 && server_->connections() == 0; ++i) std::this_thread::sleep_for(10ms);
    return server_->connections() > 0;
  }
  bool empties() {
    for (int i = 0; i < 500 && server_->connections() > 0; ++i) std::this_thread::sleep_for(10ms);
    return server_->connections() == 0;
  }

  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

std::string post(const std::string& fields, const std::string& body) {
  return "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST_F(HttpServer, AnswersPipelinedRequestsInTheirOrder) {
  start({});
  std::string all;
  for (int i = 0; i < 50; ++i) {
    const std::string body = "body-" + std::to_string(i);
    all += i % 3 == 0 ? "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"
                      : "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                            std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  all += post("", "last");
  // In one piece, and cut anywhere.
  for (const std::size_t piece : {all.size(), std::size_t{7}, std::size_t{61}}) {
    Client client(port_);
    for (std::size_t at = 0; at < all.size(); at += piece) client.send(all.substr(at, piece));
    const std::string answer = client.rest();
    std::size_t at = 0;
    for (int i = 0; i < 50; ++i) {
      if (i % 3 == 0) continue;
      at = answer.find("\r\n\r\nbody-" + std::to_string(i) + "HTTP/1.1 200", at);
      ASSERT_NE(at, std::string::npos) << i;
    }
    EXPECT_TRUE(answer.ends_with("last"));
  }
}

TEST_F(HttpServer, UnpacksBodies) {
  Options options;
  options.limits.body_bytes = 1 << 20;
  start(std::move(options));
  const std::string text(5000, 'a');
  for (const Encoding encoding : {Encoding::gzip, Encoding::deflate}) {
    const std::string field = std::string("Content-Encoding: ") + encoding_name(encoding) + "\r\n";
    EXPECT_TRUE(ask(post(field, deflated(text, encoding))).ends_with("\r\n\r\n" + text));
    const std::string bomb = deflated(std::string(std::size_t{64} << 20, '\0'), encoding);
    EXPECT_THAT(ask(post(field, bomb)), StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(ask(post(field, "no such thing")), StartsWith("HTTP/1.1 400 "));
  }
  EXPECT_THAT(ask(post("Content-Encoding: br\r\n", "x")), StartsWith("HTTP/1.1 415 "));
  EXPECT_THAT(ask(post("Content-Encoding: gzip, gzip\r\n", "x")), StartsWith("HTTP/1.1 415 "));
}

TEST_F(HttpServer, PacksLongAnswersWhereAsked) {
  start({});
  const std::string text(5000, 'a');
  const std::string answer = ask(post("Accept-Encoding: br, gzip\r\n", text));
  EXPECT_THAT(answer, HasSubstr("Content-Encoding: gzip\r\n"));
  const std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
  EXPECT_EQ(inflated(body, Encoding::gzip, 1 << 20, [](std::uint64_t) { return true; }).bytes,
            text);
  EXPECT_THAT(ask(post("Accept-Encoding: gzip\r\n", "short")), testing::Not(HasSubstr("gzip")));
  EXPECT_TRUE(ask(post("", text)).ends_with(text));
}

TEST_F(HttpServer, TakesTheKeyAsABasicPassword) {
  Options options;
  options.keys = std::make_shared<ApiKeys>(std::vector<std::string>{"aladdin-opens"});
  start(std::move(options));
  const auto status = [&](const std::string& method, const std::string& fields) {
    const std::string path = method == "POST" ? "/echo" : "/";
    return ask(method + " " + path + " HTTP/1.1\r\nHost: here:1\r\nConnection: close\r\n" + fields +
               (method == "POST" ? "Content-Length: 0\r\n\r\n" : "\r\n"))
        .substr(9, 3);
  };
  // "me:aladdin-opens" and ":aladdin-opens"
  const std::string basic = "Authorization: Basic bWU6YWxhZGRpbi1vcGVucw==\r\n";
  EXPECT_EQ(status("GET", basic), "200");
  EXPECT_EQ(status("GET", "Authorization: basic OmFsYWRkaW4tb3BlbnM=\r\n"), "200");
  EXPECT_EQ(status("POST", basic), "200");
  EXPECT_EQ(status("POST", basic + "Origin: http://here:1\r\n"), "200");
  EXPECT_EQ(status("POST", basic + "Origin: http://elsewhere\r\n"), "401");
  EXPECT_EQ(status("POST", basic + "Origin: null\r\n"), "401");
  EXPECT_EQ(status("POST", "Authorization: Bearer aladdin-opens\r\nOrigin: http://elsewhere\r\n"),
            "200");
  for (const char* wrong : {"", "Basic", "Basic ", "Basic !!!!", "Basic bWU6", "Basic bWU=",
                            "Basic YWxhZGRpbi1vcGVucw==", "Basic bWU6YWxhZGRpbi1vcGVucw",
                            "Bearer aladdin-opens, Bearer aladdin-opens"})
    EXPECT_EQ(status("GET", std::string("Authorization: ") + wrong + "\r\n"), "401") << wrong;
  EXPECT_EQ(status("GET", basic + basic), "401");
  const std::string page =
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/html\r\n";
  EXPECT_THAT(ask(page + "\r\n"), HasSubstr("WWW-Authenticate: Basic realm=\"tenon\""));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              HasSubstr("WWW-Authenticate: Bearer"));
}

TEST_F(HttpServer, LosesPatienceWithThoseWhoDribble) {
  Options options;
  options.limits.header_time = 1s;
  options.limits.body_time = 1s;
  start(std::move(options));
  const auto dribble = [&](const std::string& begin, char byte) {
    Client client(port_);
    client.send(begin);
    EXPECT_TRUE(fills());
    const auto end = std::chrono::steady_clock::now() + 15s;
    while (client.send(std::string(1, byte)) && std::chrono::steady_clock::now() < end &&
           server_->connections() > 0)
      std::this_thread::sleep_for(50ms);
    return std::chrono::steady_clock::now() < end && empties();
  };
  EXPECT_TRUE(dribble("", 'G'));
  EXPECT_TRUE(dribble("GET / HTTP/1.1\r\nX: ", 'x'));
  EXPECT_TRUE(dribble("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", 'x'));
  EXPECT_TRUE(dribble("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", '0'));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServer, LosesPatienceWithThoseWhoDoNotRead) {
  Options options;
  options.limits.write_time = 1s;
  options.limits.pending = 1 << 20;
  start(std::move(options));
  Client client(port_);
  client.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
  std::this_thread::sleep_for(50ms);  // it may have come and gone by then
  EXPECT_TRUE(empties());
}

TEST_F(HttpServer, EndsWithTheClient) {
  start({});
  {
    Client client(port_);
    client.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_TRUE(empties());
  Client half(port_);
  half.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  half.half_close();
  (void)half.rest();
  EXPECT_TRUE(empties());
}

TEST_F(HttpServer, KeepsToItsConnections) {
  Options options;
  options.limits.connections = 4;
  start(std::move(options));
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 32; ++i) idle.push_back(std::make_unique<Client>(port_));
  std::this_thread::sleep_for(100ms);
  EXPECT_LE(server_->connections(), 4U);
  idle.clear();
  EXPECT_TRUE(empties());
  EXPECT_THAT(ask("GET /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 200"));
}

}  // namespace
}  // namespace tenon::serving::http
