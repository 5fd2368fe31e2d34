// Masks for a vocabulary of 32,000 tokens under a JSON schema of ten fields: along one document,
// again and again (warm), and with a new constraint each time (cold).
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "text/grammar/constraint.h"

namespace tenon::text::grammar {
namespace {

// All bytes, then pieces of letters and JSON punctuation from a fixed generator.
std::shared_ptr<const TokenTrie> vocabulary() {
  static const auto made = [] {
    constexpr std::string_view kLetters = "etaoinshrdlu cmfwypvbgk\":,{}[]0123456789\n.";
    std::vector<std::string> texts;
    for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
    std::uint64_t state = 1;
    while (texts.size() < 32000) {
      std::string text;
      state = state * 6364136223846793005U + 1442695040888963407U;
      for (std::uint64_t left = 2 + (state >> 60); left > 0; --left) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        const std::uint64_t draw = state >> 40;
        text += kLetters[draw % (draw % 8 < 7 ? 24 : kLetters.size())];
      }
      texts.push_back(std::move(text));
    }
    return std::make_shared<const TokenTrie>(std::move(texts));
  }();
  return made;
}

std::string schema() {
  std::string fields;
  for (int i = 0; i < 5; ++i) {
    fields += "\"text" + std::to_string(i) + "\":{\"type\":\"string\"},";
    fields += "\"count" + std::to_string(i) + "\":{\"type\":\"integer\"},";
  }
  fields.pop_back();
  return R"({"type":"object","properties":{)" + fields + R"(},"additionalProperties":false})";
}

const std::string kDocument =
    R"({"text0": "the sea", "count0": 12, "text1": "a", "count1": -7, "text2": "of \"it\"",
 "count2": 0, "text3": "", "count3": 99, "text4": "and so on", "count4": 5})";

void masks_along_a_document(const Constraint& constraint) {
  Matcher matcher(constraint);
  std::vector<float> scores(vocabulary()->size());
  for (const char c : kDocument) {
    matcher.apply({}, scores);
    matcher.accept_text(std::string_view(&c, 1));
  }
}

void warm(benchmark::State& state) {
  const Constraint constraint(json_schema_grammar(schema()), vocabulary());
  masks_along_a_document(constraint);
  for (auto _ : state) masks_along_a_document(constraint);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kDocument.size()));
}
BENCHMARK(warm)->Unit(benchmark::kMillisecond);

void cold(benchmark::State& state) {
  for (auto _ : state) {
    masks_along_a_document(Constraint(json_schema_grammar(schema()), vocabulary()));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kDocument.size()));
}
BENCHMARK(cold)->Unit(benchmark::kMillisecond);

void compilation(benchmark::State& state) {
  for (auto _ : state) Constraint(json_schema_grammar(schema()), vocabulary());
}
BENCHMARK(compilation)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tenon::text::grammar
