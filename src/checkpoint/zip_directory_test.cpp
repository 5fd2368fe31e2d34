#include "checkpoint/zip_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/pickle_bytes.h"

namespace tenon::checkpoint {
namespace {

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::refusal;
using testing::zip_of;
using testing::ZipFile;

auto read(const std::string& bytes) { return read_zip(std::as_bytes(std::span(bytes))); }
std::string refused(const ZipFile& file) {
  return refusal([&] { read(zip_of(file)); });
}

TEST(ZipDirectory, FindsContentsInPlace) {
  const std::string bytes =
      zip_of({.entries = {{"a", "one"}, {"b/c", ""}, {"d", "three"}}, .comment = "a comment"});
  const auto entries = read(bytes);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(bytes.substr(entries.at("a").offset, entries.at("a").bytes), "one");
  EXPECT_EQ(bytes.substr(entries.at("d").offset, entries.at("d").bytes), "three");
  EXPECT_EQ(entries.at("b/c").bytes, 0U);
  EXPECT_EQ(entries.at("a").crc32, crc32_of(std::as_bytes(std::span("one", 3))));
}

TEST(ZipDirectory, ReadsSizesOf64Bits) {
  // id 1, 24 bytes: size, packed size, place of the header
  const std::string extra = bytes_of(std::uint16_t{1}) + bytes_of(std::uint16_t{24}) +
                            bytes_of(std::uint64_t{3}) + bytes_of(std::uint64_t{3}) +
                            bytes_of(std::uint64_t{0});
  ZipFile file{.entries = {{.name = "a", .contents = "one"}}};
  file.entries[0].bytes = 0xffffffff;
  file.entries[0].header = 0xffffffff;
  file.entries[0].extra = extra;
  EXPECT_EQ(read(zip_of(file)).at("a").bytes, 3U);
  file.entries[0].extra = extra.substr(0, 20);
  EXPECT_THAT(refused(file), HasSubstr("cut short"));
  file.entries[0].extra = extra;
  file.entries[0].extra.replace(
      4, 16, bytes_of(std::uint64_t{1} << 63) + bytes_of(std::uint64_t{1} << 63));
  EXPECT_THAT(refused(file), HasSubstr("claims 9223372036854775808 bytes"));
}

TEST(ZipDirectory, RefusesNamesThatLeadOut) {
  for (const char* name : {"../../evil", "a/../b", "/etc/passwd", "a\\b", "..", ""}) {
    EXPECT_THAT(refused({.entries = {{.name = name, .contents = "x"}}}),
                HasSubstr("leads out of its archive"))
        << name;
  }
  EXPECT_EQ(refused({.entries = {{.name = "a/..b/c", .contents = "x"}}}), "");
}

TEST(ZipDirectory, RefusesTwoEntriesOfOneName) {
  EXPECT_THAT(refused({.entries = {{"a", "x"}, {"a", "y"}}}), HasSubstr("'a' stands twice"));
}

TEST(ZipDirectory, RefusesCompressionAndEncryption) {
  ZipFile file{.entries = {{.name = "a", .contents = "x"}}};
  file.entries[0].method = 8;
  const auto entries = read(zip_of(file));
  EXPECT_THAT(refusal([&] { require_stored("a", entries.at("a")); }),
              HasSubstr("compressed by method 8"));
  file.entries[0].method = 0;
  file.entries[0].flags = 1;
  EXPECT_THAT(refused(file), HasSubstr("encrypted"));
}

TEST(ZipDirectory, RefusesRecordsThatDisagree) {
  ZipFile file{.entries = {{"a", "one"}, {"b", "two"}}};
  file.entries[1].own_name = "c";
  EXPECT_THAT(refused(file), HasSubstr("another name in its own header"));
  file.entries[1].own_name = "";
  file.entries[1].bytes = 1000;
  EXPECT_THAT(refused(file), HasSubstr("claims 1000 bytes"));
  file.entries[1].bytes.reset();
  file.entries[1].header = 5;
  EXPECT_THAT(refused(file), HasSubstr("no header of its own at 5"));
  file.entries[1].header.reset();
  file.count = 3;
  EXPECT_THAT(refused(file), HasSubstr("claims 3 entries"));
  file.count.reset();
  file.directory = 1;
  EXPECT_NE(refused(file), "");
  file.directory = 0xfffffff0;
  EXPECT_THAT(refused(file), HasSubstr("runs beyond"));
}

TEST(ZipDirectory, RefusesEntriesThatOverlap) {
  ZipFile file{.entries = {{"a", "one"}, {"b", "two"}}};
  file.entries[0].bytes = 10;  // reaches into the header of b
  EXPECT_THAT(refused(file), HasSubstr("overlap"));
}

TEST(ZipDirectory, RefusesEveryCut) {
  const std::string whole = zip_of({.entries = {{"a", "one"}, {"b", "two"}}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(refusal([&] { read(whole.substr(0, size)); }), "") << size;
  }
  EXPECT_THAT(refusal([&] { read(whole + "x"); }), HasSubstr("no directory at its end"));
}

}  // namespace
}  // namespace tenon::checkpoint
