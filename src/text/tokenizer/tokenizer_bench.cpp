// Encoding and decoding speed on English-like text, in bytes of text a second.
#include <benchmark/benchmark.h>

#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/test_support.h"

namespace tenon::text {
namespace {

// Words of a Zipf-like distribution from a fixed generator.
std::string sample_text(std::size_t bytes) {
  static constexpr std::array<const char*, 24> kWords = {
      "the",  "of",   "and",   "a",      "to",    "in",     "is",    "that",
      "it",   "was",  "tenon", "joints", "board", "length", "don't", "measured",
      "1998", "3.14", "saws",  "café",   "naïve", "Hello",  "world", "antidisestablishment"};
  std::string text;
  std::uint64_t state = 1;
  while (text.size() < bytes) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t draw = state >> 40;
    text += kWords[draw % kWords.size() * (draw >> 12 & 255U) / 256];
    text += draw % 17 == 0 ? ",\n" : " ";
  }
  return text;
}

// A byte-level model that knows pairs of letters and some words.
std::unique_ptr<Tokenizer> byte_level_tokenizer() {
  Json vocabulary = Json::object();
  Json merges = Json::array();
  const auto add = [&](const std::string& token) {
    if (!vocabulary.contains(token)) vocabulary[token] = vocabulary.size();
  };
  for (int byte = 0; byte < 256; ++byte)
    add(to_byte_level(std::string(1, static_cast<char>(byte))));
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) {
      merges.push_back(Json::array({std::string(1, a), std::string(1, b)}));
      add(std::string{a, b});
    }
  }
  Json json = tiny_tokenizer();
  json["added_tokens"] = Json::array();
  json["model"] = {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}};
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  json["decoder"] = {{"type", "ByteLevel"}};
  return load_json(json);
}

void encode(benchmark::State& state) {
  const auto tokenizer = byte_level_tokenizer();
  const std::string text = sample_text(1 << 20);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer->encode(text));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}
BENCHMARK(encode)->Unit(benchmark::kMillisecond);

void encode_without_spaces(benchmark::State& state) {
  const auto tokenizer = byte_level_tokenizer();
  const std::string text(1 << 20, 'a');
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer->encode(text));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}
BENCHMARK(encode_without_spaces)->Unit(benchmark::kMillisecond);

void decode(benchmark::State& state) {
  const auto tokenizer = byte_level_tokenizer();
  const std::string text = sample_text(1 << 20);
  const auto ids = tokenizer->encode(text);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer->decode(ids));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}
BENCHMARK(decode)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tenon::text
