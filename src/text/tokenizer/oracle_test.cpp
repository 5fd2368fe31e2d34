// Ids and decoded texts against those that the reference libraries gave for the same strings, as
// recorded by record.py and record_clip.py in tests/tokenizers.
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>

#include "text/streaming.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/test_support.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text {
namespace {

constexpr std::size_t kBlock = 16;

const std::string kFixtures = TENON_SOURCE_DIR "/tests/tokenizers/fixtures/";

const std::vector<std::string>& recorded_strings() {
  static const std::vector<std::string> kStrings = [] {
    const std::string bytes = inflate(kFixtures + "strings.gz");
    std::vector<std::string> strings;
    for (std::size_t at = 0; at + 4 <= bytes.size();) {
      std::uint32_t length = 0;
      std::memcpy(&length, bytes.data() + at, 4);
      strings.push_back(bytes.substr(at + 4, length));
      at += 4 + length;
    }
    return strings;
  }();
  return kStrings;
}

const Json& recorded_cases() {
  static const Json kCases = [] {
    Json cases = Json::parse(inflate(kFixtures + "cases.json.gz"));
    for (Json& more : Json::parse(inflate(kFixtures + "clip_cases.json.gz"))) {
      cases.push_back(std::move(more));
    }
    return cases;
  }();
  return kCases;
}

// Sums of blocks of items, compared with the recorded ones.
class BlockSums {
 public:
  explicit BlockSums(std::string expected) : expected_(std::move(expected)) {}

  void add(const std::vector<std::int32_t>& ids) {
    feed(ids.data(), ids.size() * sizeof(std::int32_t));
    feed("\xff\xff\xff\xff", 4);
    close_item();
  }
  void add(std::string_view text) {
    feed(text.data(), text.size());
    feed("\xff", 1);
    close_item();
  }
  // The blocks that differ.
  std::vector<std::size_t> finish() {
    if (items_ % kBlock != 0) close_block();
    EXPECT_EQ(blocks_ * 8, expected_.size()) << "another number of items than recorded";
    return different_;
  }

 private:
  void feed(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < size; ++i) state_ = (state_ ^ bytes[i]) * 0x100000001b3U;
  }
  void close_item() {
    if (++items_ % kBlock == 0) close_block();
  }
  void close_block() {
    if (expected_.compare(blocks_ * 8, 8, fmt::format("{:08x}", state_ & 0xffffffffU)) != 0) {
      different_.push_back(blocks_);
    }
    ++blocks_;
    state_ = kStart;
  }

  static constexpr std::uint64_t kStart = 0xcbf29ce484222325U;
  std::string expected_;
  std::uint64_t state_ = kStart;
  std::size_t items_ = 0;
  std::size_t blocks_ = 0;
  std::vector<std::size_t> different_;
};

std::vector<std::vector<std::int32_t>> random_rows(std::int64_t bound) {
  std::uint64_t state = 12345;
  std::vector<std::vector<std::int32_t>> rows(3000);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (std::size_t i = 0; i < row % 12 + 1; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      rows[row].push_back(
          static_cast<std::int32_t>((state >> 33) % static_cast<std::uint64_t>(bound)));
    }
  }
  return rows;
}

std::vector<std::string> sweep_strings() {
  std::vector<std::string> out;
  const auto add = [&](char32_t first, char32_t last) {
    for (char32_t begin = first; begin < last; begin += 64) {
      std::string text;
      for (char32_t point = begin; point < begin + 64; ++point) {
        append_utf8(text, point);
        text += "a ";
        append_utf8(text, point);
        text += "1";
      }
      out.push_back(std::move(text));
    }
  };
  add(0, 0xd800);
  add(0xe000, 0x34000);
  add(0xe0000, 0xe1000);
  return out;
}

std::string decode_base64(const std::string& text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char digit : text) {
    const std::size_t value = kDigits.find(digit);
    if (value == std::string_view::npos) break;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) out.push_back(static_cast<char>(bits >> (count -= 8)));
  }
  return out;
}

std::filesystem::path data_directory() {
  const char* variable = std::getenv("TENON_TEST_DATA");
  return variable != nullptr ? variable : TENON_SOURCE_DIR "/../shared/data";
}

// The files of a CLIP tokenizer as they are made from its published merge list: a header, then the
// merges, of which the first 48,894 count. Tokens: bytes, bytes at the end of a word, merges.
void add_clip_files(const std::string& list, TokenizerFiles& files) {
  constexpr std::size_t kMerges = 48894;
  Json vocabulary;
  const auto add = [&](const std::string& token) { vocabulary[token] = vocabulary.size(); };
  for (const char* end : {"", "</w>"}) {
    const auto byte = [&](int first, int last) {
      for (int c = first; c <= last; ++c) add(to_byte_level(std::string(1, char(c))) + end);
    };
    byte(0x21, 0x7e), byte(0xa1, 0xac), byte(0xae, 0xff);
    byte(0, 0x20), byte(0x7f, 0xa0), byte(0xad, 0xad);
  }
  std::size_t at = list.find('\n') + 1;
  const std::size_t begin = at;
  for (std::size_t i = 0; i < kMerges; ++i) {
    const std::size_t end = list.find('\n', at);
    std::string token = list.substr(at, end - at);
    add(token.erase(token.find(' '), 1));
    at = end + 1;
  }
  add("<|startoftext|>"), add("<|endoftext|>");
  files["vocab.json"] = vocabulary.dump();
  files["merges.txt"] = list.substr(begin, at - begin);
}

TokenizerFiles files_of(const Json& recorded) {
  TokenizerFiles files;
  if (const Json* list = find_field(recorded, "merge_list")) {
    const auto folder = data_directory() / list->get<std::string>();
    add_clip_files(inflate((folder / "bpe_simple_vocab_16e6.txt.gz").string()), files);
  }
  if (const Json* directory = find_field(recorded, "directory")) {
    files = read_tokenizer_files(data_directory() / directory->get<std::string>());
  }
  if (const Json* own = find_field(recorded, "files")) {
    for (const auto& [name, content] : own->items()) files[name] = content.get<std::string>();
  }
  if (const Json* model = find_field(recorded, "model")) {
    files["tokenizer.model"] = decode_base64(model->get<std::string>());
  }
  if (const Json* sections = find_field(recorded, "sections")) {
    Json json = Json::parse(inflate(kFixtures + "base.json.gz"));
    for (const auto& [name, section] : sections->items()) {
      if (name == "model") {
        json[name].update(section);
      } else {
        json[name] = section;
      }
    }
    files["tokenizer.json"] = json.dump();
  }
  return files;
}

class Oracle : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    recorded_ = recorded_cases()[GetParam()];
    for (const char* key : {"directory", "merge_list"}) {
      const Json* directory = find_field(recorded_, key);
      if (directory == nullptr) continue;
      if (!std::filesystem::exists(data_directory() / directory->get<std::string>())) {
        GTEST_SKIP() << "the published tokenizers are not here; set TENON_TEST_DATA";
      }
    }
    tokenizer_ = load_tokenizer(files_of(recorded_));
  }

  void compare_encoding(const char* key, const EncodeOptions& options) {
    if (find_field(recorded_, key) == nullptr) return;
    BlockSums sums(recorded_[key].get<std::string>());
    std::vector<const std::string*> items;
    const bool no_special = find_field(recorded_, "keep") != nullptr;
    for (const std::string& text : recorded_strings()) {
      if (no_special && mentions_special(text)) continue;
      items.push_back(&text);
      sums.add(tokenizer_->encode(text, options));
    }
    report(key, sums.finish(), [&](std::size_t item) { return quoted(*items.at(item)); });
  }

  void compare_decoding(const char* key, bool skip_special,
                        const std::vector<std::vector<std::int32_t>>& rows) {
    if (find_field(recorded_, key) == nullptr) return;
    BlockSums sums(recorded_[key].get<std::string>());
    for (const auto& row : rows) {
      const std::string text = tokenizer_->decode(row, skip_special);
      ASSERT_EQ(streamed(row, skip_special), text);
      sums.add(text);
    }
    report(key, sums.finish(), [&](std::size_t item) {
      return Json(rows[item]).dump() + " -> " +
             quoted(tokenizer_->decode(rows[item], skip_special));
    });
  }

  std::string streamed(const std::vector<std::int32_t>& row, bool skip_special) {
    StreamingDecoder decoder(*tokenizer_, skip_special);
    std::string all;
    for (const std::int32_t id : row) {
      const std::string piece = decoder.push(id);
      EXPECT_TRUE(is_valid_utf8(piece)) << "a piece ends inside a character";
      all += piece;
    }
    return all + decoder.finish();
  }

  // What the library alone treats otherwise: tokens that are cut out before it, and a tie between
  // segmentations of equal score, which its versions break differently.
  static bool mentions_special(const std::string& text) {
    const std::string valid = replace_invalid_utf8(text);
    for (const char* part : {"<s>", "</s>", "<unk>", "[INST]", "*******"}) {
      if (valid.find(part) != std::string::npos) return true;
    }
    return false;
  }
  static std::string quoted(std::string_view text) {
    return Json(replace_invalid_utf8(text)).dump(-1, ' ', true).substr(0, 100);
  }

  template <typename Describe>
  void report(const char* key, const std::vector<std::size_t>& blocks, Describe describe) {
    if (blocks.empty()) return;
    std::string text;
    for (std::size_t item = blocks[0] * kBlock; item < (blocks[0] + 1) * kBlock; ++item) {
      try {
        text += "\n  " + describe(item);
      } catch (const std::exception&) {
        break;
      }
    }
    ADD_FAILURE() << recorded_["name"] << ": " << key << " differs in " << blocks.size()
                  << " blocks, the first is" << text;
  }

  Json recorded_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(Oracle, EncodesAsRecorded) {
  if (const Json* full = find_field(recorded_, "full")) {
    for (const auto& [index, ids] : full->items()) {
      const std::string& text = recorded_strings().at(std::stoul(index));
      EXPECT_EQ(tokenizer_->encode(text), ids.get<std::vector<std::int32_t>>()) << quoted(text);
    }
    EXPECT_EQ(tokenizer_->vocabulary_size(), recorded_["bound"].get<std::int64_t>());
    if (const Json* pad = find_field(recorded_, "pad")) {
      EXPECT_EQ(tokenizer_->pad(), pad->get<std::int32_t>());
    }
  }
  compare_encoding("ids", {});
  compare_encoding("plain", {.add_special_tokens = false});
  compare_encoding("literal", {.add_special_tokens = false, .parse_special = false});
}

TEST_P(Oracle, EncodesEveryCodePointAsRecorded) {
  if (find_field(recorded_, "sweep") == nullptr) return;
  BlockSums sums(recorded_["sweep"].get<std::string>());
  const auto texts = sweep_strings();
  for (const std::string& text : texts) sums.add(tokenizer_->encode(text));
  report("sweep", sums.finish(), [&](std::size_t item) { return quoted(texts.at(item)); });
}

TEST_P(Oracle, DecodesAsRecorded) {
  std::vector<std::vector<std::int32_t>> rows;
  for (const std::string& text : recorded_strings()) rows.push_back(tokenizer_->encode(text));
  compare_decoding("decoded", true, rows);
  if (find_field(recorded_, "bound") == nullptr) return;
  const auto random = random_rows(recorded_["bound"].get<std::int64_t>());
  compare_decoding("random_skip", true, random);
  compare_decoding("random_all", false, random);
}

std::string case_name(const testing::TestParamInfo<std::size_t>& info) {
  std::string name = recorded_cases()[info.param]["name"].get<std::string>();
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

TEST(OracleFixtures, AreAllThere) {
  EXPECT_GE(recorded_strings().size(), 20'000U);
  EXPECT_GE(recorded_cases().size(), 40U);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Oracle,
                         testing::Range<std::size_t>(0, recorded_cases().size()), case_name);

}  // namespace
}  // namespace tenon::text
