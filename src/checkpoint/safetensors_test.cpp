#include "checkpoint/safetensors.h"

#include <ctime>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/test_files.h"

namespace tenon::checkpoint {
namespace {

using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;
using testing::safetensors;
using testing::TemporaryDirectory;

std::vector<SafetensorsEntry> parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)));
}

std::string refused(const std::string& file) {
  return refusal([&] { parse(file); });
}

// A file with one tensor `w` of these fields and eight bytes of data.
std::string with_fields(const std::string& fields) {
  return safetensors(R"({"w":{)" + fields + "}}", std::string(8, '\0'));
}

TEST(Safetensors, ReadsNamesTypesShapesAndPlaces) {
  const std::string header = R"({"__metadata__":{"format":"pt"},)"
                             R"("b":{"data_offsets":[4,8],"shape":[],"dtype":"F32"},)"
                             R"("a":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]},)"
                             R"("empty":{"dtype":"BF16","shape":[3,0],"data_offsets":[8,8]}}   )";
  const auto entries = parse(safetensors(header, std::string(8, 'x')));
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_EQ(entries[0].dtype, DType::i8);
  EXPECT_EQ(entries[0].shape, (Shape{2, 2}));
  EXPECT_EQ(entries[0].begin, 8 + header.size());
  EXPECT_EQ(entries[1].name, "b");
  EXPECT_EQ(entries[1].shape, Shape{});
  EXPECT_EQ(entries[1].end, 16 + header.size());
  EXPECT_EQ(entries[2].shape, (Shape{3, 0}));
}

TEST(Safetensors, ReadsEveryType) {
  const std::vector<std::pair<std::string, DType>> types = {
      {"F64", DType::f64}, {"F32", DType::f32},     {"F16", DType::f16}, {"BF16", DType::bf16},
      {"I64", DType::i64}, {"I32", DType::i32},     {"I16", DType::i16}, {"I8", DType::i8},
      {"U8", DType::u8},   {"BOOL", DType::boolean}};
  for (const auto& [name, dtype] : types) {
    const std::size_t size = dtype_size(dtype);
    const auto entries =
        parse(safetensors(R"({"w":{"dtype":")" + name + R"(","shape":[1],"data_offsets":[0,)" +
                              std::to_string(size) + "]}}",
                          std::string(size, '\0')));
    EXPECT_EQ(entries.at(0).dtype, dtype) << name;
  }
}

TEST(Safetensors, RefusesFilesThatAreTooShort) {
  EXPECT_THAT(refused(""), HasSubstr("has 0 bytes"));
  EXPECT_THAT(refused("1234567"), HasSubstr("has 7 bytes"));
  EXPECT_THAT(refused(bytes_of(std::uint64_t{0})), HasSubstr("does not start with '{'"));
}

TEST(Safetensors, RefusesHeaderLengthsBeyondTheLimits) {
  const std::string rest = "{}";
  EXPECT_THAT(refused(bytes_of(~std::uint64_t{0}) + rest), HasSubstr("18446744073709551615"));
  EXPECT_THAT(refused(bytes_of(std::uint64_t{1} << 63) + rest), HasSubstr("above the format's"));
  EXPECT_THAT(refused(bytes_of(std::uint64_t{100'000'001}) + rest),
              HasSubstr("limit of 100000000"));
  EXPECT_THAT(refused(bytes_of(std::uint64_t{100'000'000}) + rest),
              HasSubstr("beyond the end of the file, which has 10 bytes"));
}

TEST(Safetensors, RefusesHeadersThatAreNoObject) {
  EXPECT_THAT(refused(safetensors("[]", "")), HasSubstr("does not start with '{'"));
  EXPECT_THAT(refused(safetensors(" {}", "")), HasSubstr("does not start with '{'"));
  EXPECT_THAT(refused(safetensors("{\"\xff\":{}}", "")), HasSubstr("not valid JSON in UTF-8"));
  EXPECT_THAT(refused(safetensors("{} x", "")), HasSubstr("not valid JSON"));
  EXPECT_THAT(refused(safetensors("{}{}", "")), HasSubstr("not valid JSON"));
  EXPECT_THAT(refused(safetensors("{\"a\":", "")), HasSubstr("not valid JSON"));
  EXPECT_THAT(refused(safetensors(R"({"a":[]})", "")), HasSubstr("'a' is a list"));
}

TEST(Safetensors, RefusesDuplicates) {
  const std::string w = R"("w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]})";
  EXPECT_THAT(refused(safetensors("{" + w + "," + w + "}", std::string(8, 'x'))),
              HasSubstr("tensor 'w' stands twice"));
  EXPECT_THAT(refused(with_fields(R"("dtype":"U8","dtype":"U8")")), HasSubstr("dtype twice"));
}

TEST(Safetensors, RefusesOffsetsThatDoNotFit) {
  const auto with_offsets = [](const std::string& offsets) {
    return refused(with_fields(R"("dtype":"U8","shape":[8],"data_offsets":)" + offsets));
  };
  EXPECT_THAT(with_offsets("[8,0]"), HasSubstr("run backwards"));
  EXPECT_THAT(with_offsets("[0,9]"), HasSubstr("outside the 8 bytes"));
  EXPECT_THAT(with_offsets("[18446744073709551608,18446744073709551615]"), HasSubstr("outside"));
  EXPECT_THAT(with_offsets("[0]"), HasSubstr("has 1 data_offsets"));
  EXPECT_THAT(with_offsets("[0,4,8]"), HasSubstr("two integers"));
  EXPECT_THAT(with_offsets("[-1,8]"), HasSubstr("number -1"));
  EXPECT_THAT(with_offsets("[0.0,8]"), HasSubstr("'0.0'"));
  EXPECT_THAT(with_offsets("[[0],8]"), HasSubstr("a list"));
  EXPECT_THAT(with_offsets("8"), HasSubstr("data_offsets is the number 8"));
}

TEST(Safetensors, RefusesOverlapHolesAndTrailingBytes) {
  const auto two = [](const std::string& first, const std::string& second, std::size_t size) {
    return refused(safetensors(R"({"v":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
                                   R"(},"w":{"dtype":"U8","shape":[4],"data_offsets":)" + second +
                                   "}}",
                               std::string(size, 'x')));
  };
  EXPECT_EQ(two("[0,4]", "[4,8]", 8), "");
  EXPECT_EQ(two("[4,8]", "[0,4]", 8), "");
  EXPECT_THAT(two("[0,4]", "[2,6]", 8), HasSubstr("without overlap"));
  EXPECT_THAT(two("[0,4]", "[0,4]", 4), HasSubstr("without overlap"));
  EXPECT_THAT(two("[0,4]", "[5,9]", 9), HasSubstr("without a hole"));
  EXPECT_THAT(two("[1,5]", "[5,9]", 9), HasSubstr("without a hole"));
  // A second file appended, as a polyglot does.
  EXPECT_THAT(two("[0,4]", "[4,8]", 30), HasSubstr("22 bytes follow the last tensor"));
}

TEST(Safetensors, RefusesShapesThatAreWrong) {
  const auto with_shape = [](const std::string& shape) {
    return refused(with_fields(R"("dtype":"U8","data_offsets":[0,8],"shape":)" + shape));
  };
  EXPECT_EQ(with_shape("[2,2,2]"), "");
  EXPECT_THAT(with_shape("[4294967296,4294967296]"), HasSubstr("more elements than memory"));
  EXPECT_THAT(with_shape("[9223372036854775807,2]"), HasSubstr("more elements than memory"));
  EXPECT_THAT(with_shape("[9223372036854775808]"), HasSubstr("2^63 - 1"));
  EXPECT_THAT(with_shape("[7]"), HasSubstr("hold 8 bytes, shape [7] of uint8 takes 7"));
  EXPECT_THAT(with_shape("[-8]"), HasSubstr("number -8"));
  EXPECT_THAT(with_shape("[8.0]"), HasSubstr("'8.0'"));
  EXPECT_THAT(with_shape("[null]"), HasSubstr("holds null"));
  EXPECT_THAT(with_shape("\"8\""), HasSubstr("a list was expected"));
  std::string many = "[8";
  for (int i = 0; i < 40; ++i) many += ",1";
  EXPECT_THAT(with_shape(many + "]"), HasSubstr("more than 32 dimensions"));
}

TEST(Safetensors, RefusesTypesAndFields) {
  EXPECT_THAT(refused(with_fields(R"("dtype":"F7","shape":[8],"data_offsets":[0,8])")),
              HasSubstr("'F7' is none of the format's"));
  EXPECT_THAT(refused(with_fields(R"("dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8])")),
              HasSubstr("F8_E4M3 is not supported"));
  EXPECT_THAT(refused(with_fields(R"("dtype":3)")), HasSubstr("a string was expected"));
  EXPECT_THAT(refused(with_fields(R"("dtype":"U8","shape":[8])")), HasSubstr("lacks"));
  EXPECT_THAT(refused(with_fields(R"("dtype":"U8","more":1)")), HasSubstr("unknown field 'more'"));
}

TEST(Safetensors, RefusesMetadataThatIsNoMapOfStrings) {
  EXPECT_EQ(refused(safetensors(R"({"__metadata__":{"a":"b"}})", "")), "");
  EXPECT_THAT(refused(safetensors(R"({"__metadata__":{"a":1}})", "")),
              HasSubstr("strings were expected"));
  EXPECT_THAT(refused(safetensors(R"({"__metadata__":[]})", "")),
              HasSubstr("an object of strings"));
  EXPECT_THAT(refused(safetensors(R"({"__metadata__":{"a":{}}})", "")), HasSubstr("strings"));
}

TEST(Safetensors, RefusesNamesThatCannotBeShown) {
  const auto named = [](const std::string& name) {
    return refused(
        safetensors("{\"" + name + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", ""));
  };
  EXPECT_EQ(named("größe"), "");
  EXPECT_THAT(named(""), HasSubstr("empty name"));
  EXPECT_THAT(named("a\\u0000b"), HasSubstr("'a?b'"));
  EXPECT_THAT(named("a\\nb"), HasSubstr("no printable"));
  EXPECT_THAT(named(std::string(5000, 'n')), HasSubstr("has 5000 bytes"));
}

TEST(Safetensors, RefusesDeepNestingAtOnce) {
  EXPECT_THAT(refused(safetensors("{\"a\":" + std::string(100'000, '['), "")),
              HasSubstr("'a' is a list"));
  std::string objects = "{";
  for (int i = 0; i < 100'000; ++i) objects += "\"a\":{";
  EXPECT_THAT(refused(safetensors(objects, "")), HasSubstr("unknown field 'a'"));
}

TEST(Safetensors, AMillionTensorsAreRefusedQuickly) {
  std::string header = "{";
  for (int i = 0; i < 1'000'000; ++i) {
    header += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) +
              R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  const std::string file = safetensors(header + "}", "");
  const std::clock_t start = std::clock();  // of the processor: other programs do not count
  EXPECT_THAT(refused(file), HasSubstr("more than 200000 tensors"));
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_LT(seconds, 5.0);  // under 0.5 s as released; sanitizers take several times that
}

TEST(Safetensors, RefusesEveryCut) {
  const std::string file = safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                                       std::string(8, '\0'));
  EXPECT_EQ(refused(file), "");
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_NE(refused(file.substr(0, size)), "") << size;
  }
}

TEST(Safetensors, MapsValuesInPlaceAndCopesWithOddOffsets) {
  const TemporaryDirectory directory;
  std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                       R"("b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]},)"
                       R"("c":{"dtype":"F32","shape":[2],"data_offsets":[9,17]}})";
  header += std::string((8 - header.size() % 8) % 8, ' ');
  const std::string values = bytes_of(1.0F) + bytes_of(2.0F);
  const auto path =
      directory.write("odd.safetensors", safetensors(header, values + "\x05" + values));
  const WeightMap weights = read_safetensors(MappedFile::open(path));
  const SourcePtr aligned = weights.at("a").source;
  ASSERT_TRUE(aligned->view());
  EXPECT_THAT(aligned->view()->as<float>(), ElementsAre(1.0F, 2.0F));
  const SourcePtr odd = weights.at("c").source;
  EXPECT_FALSE(odd->view());
  EXPECT_THAT(odd->load().as<float>(), ElementsAre(1.0F, 2.0F));
  float second = 0;
  odd->read(1, 2, reinterpret_cast<std::byte*>(&second));
  EXPECT_EQ(second, 2.0F);
  aligned->release();
  odd->release();
  EXPECT_THAT(aligned->view()->as<float>(), ElementsAre(1.0F, 2.0F));
}

TEST(Safetensors, ErrorsNameTheFile) {
  const TemporaryDirectory directory;
  const auto path = directory.write("bad.safetensors", "short");
  EXPECT_THAT(refusal([&] { read_safetensors(MappedFile::open(path)); }),
              HasSubstr("bad.safetensors: has 5 bytes"));
}

}  // namespace
}  // namespace tenon::checkpoint
