#include "serving/http/router.h"

#include <gtest/gtest.h>

namespace tenon::serving::http {
namespace {

Router table() {
  Router router;
  const Handler nothing = [](const std::shared_ptr<Exchange>&) {};
  router.add({"GET", "/v2", nothing});
  router.add({"GET", "/v2/models/stats", nothing});
  router.add({"GET", "/v2/models/{model}", nothing});
  router.add({"POST", "/v2/models/{model}/infer", nothing});
  return router;
}

TEST(Router, FindsTheRouteAndItsParts) {
  const Router router = table();
  EXPECT_EQ(router.match("GET", "/v2").route->pattern, "/v2");
  EXPECT_EQ(router.match("GET", "/v2/").route->pattern, "/v2");
  EXPECT_EQ(router.match("HEAD", "/v2").route->pattern, "/v2");
  EXPECT_EQ(router.match("GET", "/v2/models/stats").route->pattern, "/v2/models/stats");
  const Router::Match match = router.match("POST", "/v2/models/a%20b/infer");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.parts.at("model"), "a b");
}

TEST(Router, SaysWhyNothingMatches) {
  const Router router = table();
  const auto status = [&](const char* method, const char* path) {
    const Router::Match match = router.match(method, path);
    EXPECT_EQ(match.route, nullptr) << path;
    return match.status;
  };
  EXPECT_EQ(status("GET", "/"), 404);
  EXPECT_EQ(status("GET", ""), 404);
  EXPECT_EQ(status("GET", "*"), 404);
  EXPECT_EQ(status("GET", "//v2"), 404);
  EXPECT_EQ(status("GET", "/v2/models//infer"), 404);
  EXPECT_EQ(status("POST", "/v2"), 405);
  EXPECT_EQ(router.match("PUT", "/v2/models/a/infer").allow, "POST");
  EXPECT_EQ(status("GET", "/v2/models/%00"), 400);
  EXPECT_EQ(status("GET", "/v2/models/.."), 400);
  EXPECT_EQ(status("GET", "/v2/models/%2e%2e"), 400);
  EXPECT_EQ(status("GET", "/v2/models/a%2fb"), 400);
  EXPECT_EQ(status("GET", "/v2/models/%4"), 400);
  EXPECT_EQ(status("GET", "/v2/models/%zz"), 400);
}

}  // namespace
}  // namespace tenon::serving::http
