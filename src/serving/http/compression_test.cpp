#include "serving/http/compression.h"

#include <gtest/gtest.h>

namespace tenon::serving::http {
namespace {

constexpr std::uint64_t kLimit = 1 << 20;
const auto kRoom = [](std::uint64_t) { return true; };

TEST(Compression, GoesThereAndBack) {
  for (const Encoding encoding : {Encoding::gzip, Encoding::deflate}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{70000}, kLimit}) {
      std::string text;
      for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + i * i % 23);
      const Inflated back = inflated(deflated(text, encoding), encoding, kLimit, kRoom);
      EXPECT_EQ(back.end, Inflated::End::whole);
      EXPECT_EQ(back.bytes, text);
    }
  }
}

TEST(Compression, TakesSeveralGzipMembers) {
  const std::string two = deflated("one", Encoding::gzip) + deflated("two", Encoding::gzip);
  EXPECT_EQ(inflated(two, Encoding::gzip, kLimit, kRoom).bytes, "onetwo");
}

TEST(Compression, StopsAtTheLimit) {
  std::string bomb = deflated(std::string(std::size_t{64} << 20, '\0'), Encoding::gzip);
  std::uint64_t held = 0;
  const Inflated stopped = inflated(bomb, Encoding::gzip, kLimit, [&](std::uint64_t more) {
    held += more;
    return true;
  });
  EXPECT_EQ(stopped.end, Inflated::End::too_long);
  EXPECT_TRUE(stopped.bytes.empty());
  EXPECT_LE(held, kLimit);
  const auto full = [](std::uint64_t) { return false; };
  EXPECT_EQ(inflated(bomb, Encoding::gzip, kLimit, full).end, Inflated::End::no_memory);
}

TEST(Compression, RefusesWhatIsCutOffOrNoise) {
  for (const Encoding encoding : {Encoding::gzip, Encoding::deflate}) {
    const std::string whole = deflated("a text that is compressed", encoding);
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_EQ(inflated(whole.substr(0, size), encoding, kLimit, kRoom).end,
                Inflated::End::malformed);
    EXPECT_EQ(inflated(whole + "x", encoding, kLimit, kRoom).end, Inflated::End::malformed);
  }
  const std::string other = deflated("text", Encoding::deflate);
  EXPECT_EQ(inflated(other, Encoding::gzip, kLimit, kRoom).end, Inflated::End::malformed);
}

TEST(Compression, ReadsHeaders) {
  EXPECT_EQ(encoding_of("GZip"), Encoding::gzip);
  EXPECT_EQ(encoding_of("deflate"), Encoding::deflate);
  for (const char* name : {"", "br", "gzip, gzip", "identity"})
    EXPECT_FALSE(encoding_of(name).has_value()) << name;
  EXPECT_EQ(accepted_encoding("gzip, deflate, br"), Encoding::gzip);
  EXPECT_EQ(accepted_encoding("deflate, gzip;q=1.0"), Encoding::gzip);
  EXPECT_EQ(accepted_encoding("gzip;q=0, deflate;q=0.5"), Encoding::deflate);
  for (const char* value : {"", "br", "identity", "gzip;q=0.000", ",,;", "*;q=0"})
    EXPECT_FALSE(accepted_encoding(value).has_value()) << value;
}

}  // namespace
}  // namespace tenon::serving::http
