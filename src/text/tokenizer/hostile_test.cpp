// Files and texts made to do harm: each gets a plain refusal or a plain answer, in bounded time.
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/sentencepiece_model.h"
#include "text/tokenizer/test_support.h"

namespace tenon::text {
namespace {

using testing::HasSubstr;

std::string refusal(const Json& json) {
  return error_of([&] { load_json(json); });
}

Json with_pre_tokenizer(const char* regex) {
  Json json = tiny_tokenizer();
  json["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"Regex", regex}}},
                           {"behavior", "Isolated"},
                           {"invert", false}};
  return json;
}

TEST(HostileJson, RefusesAMergeOfAnUnknownToken) {
  Json json = tiny_tokenizer();
  json["model"]["merges"].push_back("b nowhere");
  EXPECT_THAT(refusal(json), HasSubstr("merge 2 names token \"nowhere\""));
  json = tiny_tokenizer();
  json["model"]["merges"].push_back("b c");  // bc is not in the vocabulary
  EXPECT_THAT(refusal(json), HasSubstr("names token \"bc\""));
  for (const Json& merge :
       {Json("one"), Json("a b c"), Json::array({"a"}), Json(1), Json::object()}) {
    json = tiny_tokenizer();
    json["model"]["merges"].push_back(merge);
    EXPECT_THAT(refusal(json), HasSubstr("was expected"));
  }
}

TEST(HostileJson, RefusesBadIds) {
  for (const Json& id : {Json(-1), Json(1LL << 31), Json(1LL << 40), Json(~0ULL), Json(1 << 24)}) {
    Json json = tiny_tokenizer();
    json["model"]["vocab"]["x"] = id;
    EXPECT_THAT(refusal(json), HasSubstr("0 to 16777215 was expected"));
  }
  Json json = tiny_tokenizer();
  json["model"]["vocab"]["x"] = 0;
  EXPECT_THAT(refusal(json), HasSubstr("the same id 0"));
  json["model"]["vocab"]["x"] = 1.5;
  EXPECT_THAT(refusal(json), HasSubstr("not an integer"));
  json = tiny_tokenizer();
  json["added_tokens"][0]["id"] = 1LL << 31;
  EXPECT_THAT(refusal(json), HasSubstr("2147483648"));
  json["added_tokens"][0]["id"] = 3;  // that of "ab"
  EXPECT_THAT(refusal(json), HasSubstr("which is that of token \"ab\""));
}

TEST(HostileJson, AcceptsHolesBetweenIds) {
  Json json = tiny_tokenizer();
  json["model"]["vocab"]["x"] = 100;
  const auto tokenizer = load_json(json);
  EXPECT_EQ(tokenizer->vocabulary_size(), 101);
  EXPECT_EQ(tokenizer->encode("x"), std::vector<std::int32_t>{100});
  EXPECT_THAT(error_of([&] { tokenizer->token(50); }), HasSubstr("token id 50 names no token"));
  EXPECT_THAT(error_of([&] { tokenizer->token(-1); }), HasSubstr("names no token"));
  EXPECT_EQ(tokenizer->decode(std::vector<std::int32_t>{50, -7, 1 << 30, 0}), "a");
}

TEST(HostileJson, RefusesALongPiece) {
  Json json = tiny_tokenizer();
  json["model"]["vocab"][std::string(1 << 20, 'x')] = 20;
  EXPECT_THAT(refusal(json), HasSubstr("1048576 bytes, at most 4096"));
  json = tiny_tokenizer();
  json["added_tokens"][0]["content"] = std::string(5000, 'x');
  EXPECT_THAT(refusal(json), HasSubstr("5000 bytes, at most 4096"));
}

TEST(HostileJson, StopsAPatternThatExplodes) {
  const auto tokenizer = load_json(with_pre_tokenizer("(a+)+$"));
  const std::string text = std::string(100'000, 'a') + "b";
  EXPECT_THAT(error_of([&] { tokenizer->encode(text); }), HasSubstr("\"(a+)+$\" does not finish"));
  EXPECT_EQ(tokenizer->encode("ab"), std::vector<std::int32_t>{3});  // and still works
}

TEST(HostileJson, RefusesInvalidPatterns) {
  for (const char* pattern :
       {"(",           ")",      "[a",          "a{2}{3",       "*a",
        "\\",          "[\\",    "[b-a]",       "(?<name>a)",   "(?R)",
        "(*F)",        "\\p{",   "\\p",         "\\p{No Such}", "\\p{Nonsense}",
        "[[:alpha:]]", "[a&&b]", "\\x{110000}", "\\x{d800}",    "\\xff",
        "\\k<a>",      "a(?i)b", "(?#c)",       "[]",           "\\u12"}) {
    const std::string text = refusal(with_pre_tokenizer(pattern));
    const bool literal = std::string_view(pattern) == "a{2}{3" || std::string_view(pattern) == "*a";
    if (!literal) {
      EXPECT_THAT(text, HasSubstr("regular expression")) << pattern;
    }
  }
  std::string nested;
  for (int i = 0; i < 20'000; ++i) nested += "(";
  EXPECT_THAT(error_of([&] { Pattern::regex(nested); }), HasSubstr("regular expression"));
  EXPECT_THAT(error_of([&] { Pattern::regex(std::string(1 << 20, 'a')); }),
              HasSubstr("at most 65536"));
  std::string classes;
  for (int i = 0; i < 10'000; ++i) classes += "[\\S]";
  EXPECT_NE(error_of([&] { Pattern::regex(classes); }), "no error");
}

TEST(HostileJson, ReadsByteTokensStrictly) {
  for (const char* token : {"<0x-1>", "<0xZZ>", "<0x+F>", "<0x1>", "<0x100>", "0x41", "<0X41>"}) {
    EXPECT_FALSE(parse_byte_token(token)) << token;
  }
  Json json = tiny_tokenizer();
  json["model"]["byte_fallback"] = true;
  json["model"]["vocab"]["<0x-1>"] = 8;
  json["model"]["vocab"]["<0x7A>"] = 9;  // the other byte tokens are missing
  const auto tokenizer = load_json(json);
  EXPECT_EQ(tokenizer->encode("zy"), (std::vector<std::int32_t>{9, 6}));
}

TEST(HostileJson, IgnoresAnEmptyAddedToken) {
  Json json = tiny_tokenizer();
  json["added_tokens"][0]["content"] = "";
  EXPECT_EQ(load_json(json)->encode("ab"), std::vector<std::int32_t>{3});
}

TEST(HostileJson, RefusesDeepNesting) {
  std::string open;
  std::string close;
  for (int i = 0; i < 10'000; ++i) {
    open += R"({"type": "Sequence", "normalizers": [)";
    close += "]}";
  }
  Json json = tiny_tokenizer();
  std::string text = json.dump();
  text.replace(text.find("\"normalizer\":null"), 17, "\"normalizer\":" + open + close);
  EXPECT_THAT(error_of([&] {
                load_tokenizer(TokenizerFiles{{"tokenizer.json", text}});
              }),
              HasSubstr("nested deeper"));
}

TEST(HostileJson, RefusesLoneSurrogatesAndBrokenText) {
  std::string text = tiny_tokenizer().dump();
  text.replace(text.find("\"abc\""), 5, "\"\\ud800\"");
  EXPECT_THAT(error_of([&] {
                load_tokenizer(TokenizerFiles{{"tokenizer.json", text}});
              }),
              HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of([&] {
                load_tokenizer(TokenizerFiles{{"tokenizer.json", "[1]"}});
              }),
              HasSubstr("an object was expected"));
  EXPECT_THAT(error_of([&] { load_tokenizer(TokenizerFiles{}); }), HasSubstr("no tokenizer found"));
}

TEST(HostileJson, RefusesUnknownComponentsByName) {
  for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "decoder", "model"}) {
    Json json = tiny_tokenizer();
    json[key] = {{"type", "Whatever"}};
    EXPECT_THAT(refusal(json), HasSubstr("\"Whatever\" is not supported")) << key;
    json[key] = {{"type", 3}};
    EXPECT_THAT(refusal(json), HasSubstr("\"type\"")) << key;
  }
  Json json = tiny_tokenizer();
  json["model"]["type"] = "Unigram";
  EXPECT_THAT(refusal(json), HasSubstr("model \"Unigram\" is not supported"));
  json = tiny_tokenizer();
  json["model"]["dropout"] = 0.1;
  EXPECT_THAT(refusal(json), HasSubstr("dropout"));
}

TEST(HostileText, TakesLongTextsInTime) {
  const auto start = std::chrono::steady_clock::now();
  Json json = tiny_tokenizer();
  const auto plain = load_json(json);
  std::string abc;
  while (abc.size() < (1 << 20)) abc += "abc";
  EXPECT_EQ(plain->encode(abc).size(), abc.size() / 3);
  EXPECT_EQ(plain->encode(std::string(1 << 20, 'a')).size(), std::size_t{1} << 20);

  std::string marks = "a";
  for (int i = 0; i < 500'000; ++i) marks += "\xcc\x81\xcc\xa3";  // U+0301 above, U+0323 below
  json["normalizer"] = {{"type", "NFC"}};
  EXPECT_FALSE(load_json(json)->encode(marks).empty());
  json = tiny_tokenizer();
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const auto byte_level = load_json(json);
  byte_level->encode(std::string(1 << 20, ' '));
  byte_level->encode(std::string(1 << 20, 'x'));
  byte_level->encode(marks);
  json["added_tokens"] = {
      {{"id", 7}, {"content", "  "}, {"rstrip", true}, {"lstrip", true}, {"normalized", false}}};
  load_json(json)->encode(std::string(1 << 20, ' '));
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  EXPECT_LT(taken.count(), 60);  // quadratic work would take hours
}

TEST(HostileText, TakesNulAndBrokenBytes) {
  const auto tokenizer = load_json(tiny_tokenizer());
  EXPECT_EQ(tokenizer->encode(std::string_view("a\0b", 3)), (std::vector<std::int32_t>{0, 6, 1}));
  EXPECT_EQ(tokenizer->encode("a\xf0\x9f\x98"
                              "b\xff\xff"),
            (std::vector<std::int32_t>{0, 6, 1, 6, 6}));
}

// A SentencePiece file, field by field.
std::string field(int number, std::string_view bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  std::size_t length = bytes.size();
  for (; length >= 0x80; length >>= 7) out += static_cast<char>((length & 0x7f) | 0x80);
  return out + static_cast<char>(length) + std::string(bytes);
}
std::string piece(std::string_view text, int kind) {
  return field(1, field(1, text) + "\x18" + static_cast<char>(kind));
}
std::string little_endian(std::uint32_t word) {
  std::string out;
  for (int i = 0; i < 4; ++i) out += static_cast<char>(word >> (8 * i));
  return out;
}
std::string character_map(std::uint32_t first_unit, std::string_view strings) {
  std::string map = little_endian(1024) + little_endian(first_unit);
  for (int i = 1; i < 256; ++i) map += little_endian(0);
  return map + std::string(strings);
}
std::string model_refusal(const std::string& bytes) {
  return error_of([&] { load_tokenizer(TokenizerFiles{{"tokenizer.model", bytes}}); });
}

TEST(HostileModel, RefusesDamagedFiles) {
  EXPECT_THAT(model_refusal(""), HasSubstr("no pieces"));
  EXPECT_THAT(model_refusal("\x0a\x7f"), HasSubstr("cut short"));
  EXPECT_THAT(model_refusal("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
              HasSubstr("does not end"));
  EXPECT_THAT(model_refusal("\x0b"), HasSubstr("wire type 3"));
  EXPECT_THAT(model_refusal(piece("a", 1)), HasSubstr("SentencePiece"));  // no unknown piece
  EXPECT_THAT(model_refusal(piece("", 1)), HasSubstr("piece 0 is empty"));
  EXPECT_THAT(model_refusal(piece(std::string(1 << 20, 'x'), 1)), HasSubstr("at most 4096"));
  EXPECT_THAT(model_refusal(piece(std::string("\0a", 2), 1)), HasSubstr("zero byte"));
  EXPECT_THAT(model_refusal(piece("a", 9)), HasSubstr("type 9"));
  EXPECT_THAT(model_refusal(piece("\xff", 1)), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(model_refusal(piece("<unk>", 2) + piece("a", 1) + piece("a", 1)), HasSubstr("a"));
}

TEST(HostileModel, ChecksBytePieces) {
  const std::string fallback =
      field(2, std::string("\x18\x02\x98\x02\x01", 5));  // BPE, byte_fallback
  EXPECT_THAT(model_refusal(piece("<unk>", 2) + piece("<0x-1>", 6)),
              HasSubstr("\"<0x-1>\", <0x00> to <0xFF>"));
  EXPECT_THAT(model_refusal(piece("<unk>", 2) + piece("<0xZZ>", 6)), HasSubstr("was expected"));
  EXPECT_THAT(model_refusal(piece("<unk>", 2) + piece("<0x00>", 6) + fallback),
              HasSubstr("255 of the 256 byte pieces are missing, first <0x01>"));
}

TEST(HostileModel, ChecksTheCharacterMap) {
  const std::string unknown = piece("<unk>", 2) + piece("a", 1);
  const auto with_map = [&](const std::string& map) {
    return model_refusal(unknown + field(3, field(2, map)));
  };
  EXPECT_THAT(with_map("abc"), HasSubstr("character map"));
  EXPECT_THAT(with_map(little_endian(0xfffffff0U) + "xxxx"), HasSubstr("names a trie of"));
  EXPECT_THAT(with_map(character_map(0x3ffU << 10, std::string(4, '\0'))),
              HasSubstr("leads to unit"));
  EXPECT_THAT(with_map(character_map(0x80000000U | 99, std::string(4, '\0'))),
              HasSubstr("names byte 99"));
  EXPECT_THAT(with_map(character_map(0, "abc")), HasSubstr("does not end"));
  EXPECT_EQ(with_map(character_map(0, std::string("abc\0", 4))), "no error");
}

}  // namespace
}  // namespace tenon::text
