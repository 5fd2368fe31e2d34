// Every route that the server has, asked without a key, with a wrong one and with the right one.
#include <set>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serving/http/server.h"
#include "serving/kserve/kserve.h"
#include "serving/metrics.h"
#include "serving/openai/openai.h"
#include "serving/playground/playground.h"

namespace tenon::serving {
namespace {

constexpr const char* kKey = "the-key-of-the-test";

std::shared_ptr<http::Router> all_routes() {
  auto router = std::make_shared<http::Router>();
  const auto models = std::make_shared<ModelRegistry>();
  const auto ready = [] { return true; };
  openai::add_routes(*router, {models, ready, std::chrono::seconds(1)});
  kserve::add_routes(*router, {models, ready, std::chrono::seconds(1)});
  add_metrics_route(*router, models);
  playground::add_routes(*router);
  return router;
}

// The status of one request.
int ask(std::uint16_t port, const std::string& request) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(port);
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&place), sizeof place) == 0 &&
      ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    char piece[4096];
    for (ssize_t got = 0; (got = ::recv(socket, piece, sizeof piece, 0)) > 0;)
      answer.append(piece, static_cast<std::size_t>(got));
  }
  ::close(socket);
  return answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : 0;
}

std::string filled(const std::string& pattern) {
  std::string path;
  bool in_name = false;
  for (const char c : pattern) {
    if (c == '{') path += 'x';
    in_name = c == '{' || (in_name && c != '}');
    if (!in_name && c != '}') path += c;
  }
  return path;
}

TEST(Routes, AllNeedAKeyButLiveness) {
  const auto router = all_routes();
  http::Options options;
  options.keys = std::make_shared<http::ApiKeys>(std::vector<std::string>{kKey});
  http::Server server(std::move(options));
  const std::uint16_t port =
      server.listen({"127.0.0.1", 0, router,
                     [](int, const std::string& message, const std::string&) { return message; }});
  std::set<std::string> open;
  for (const http::Route& route : router->routes()) {
    const auto status = [&](const std::string& field) {
      return ask(port, route.method + " " + filled(route.pattern) +
                           " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n" +
                           field + "\r\n");
    };
    const int without = status("");
    if (without != 401) open.insert(route.pattern);
    EXPECT_EQ(status("Authorization: Bearer wrong-key\r\n"), without) << route.pattern;
    EXPECT_EQ(status("X-API-Key: wrong-key\r\n"), without) << route.pattern;
    EXPECT_EQ(status(std::string("Authorization: Bearer ") + kKey + "x\r\n"), without);
    const int with = status(std::string("Authorization: Bearer ") + kKey + "\r\n");
    EXPECT_TRUE(with != 401 && with != 0) << route.method << " " << route.pattern << " " << with;
  }
  EXPECT_EQ(open, (std::set<std::string>{"/v2/health/live", "/health"}));
  EXPECT_GT(router->routes().size(), 40U);
}

}  // namespace
}  // namespace tenon::serving
