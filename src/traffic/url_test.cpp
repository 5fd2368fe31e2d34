#include "traffic/url.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::traffic {
namespace {

TEST(Url, Parts) {
  const Url url = parse_url("https://example.org:8443/base/");
  EXPECT_TRUE(url.tls);
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, 8443);
  EXPECT_EQ(url.path, "/base");
  EXPECT_EQ(url.text(), "https://example.org:8443/base");
}

TEST(Url, Defaults) {
  EXPECT_EQ(parse_url("http://a").port, 80);
  EXPECT_EQ(parse_url("https://a").port, 443);
  EXPECT_EQ(parse_url("https://a/").text(), "https://a");
  EXPECT_EQ(parse_url("localhost:8000").text(), "http://localhost:8000");
  EXPECT_EQ(parse_url("http://[::1]:9000").host, "::1");
  EXPECT_EQ(parse_url("http://[::1]:9000").authority(), "[::1]:9000");
}

TEST(Url, Refusals) {
  for (const char* wrong :
       {"", "http://", "ftp://a", "http://a:0", "http://a:70000", "http://a:x", "http://u:p@a",
        "http://a/?q", "http://a b", "http://[::1", "http://:80", "http://a\r\nX: y"})
    EXPECT_THROW(parse_url(wrong), Error) << wrong;
}

}  // namespace
}  // namespace tenon::traffic
