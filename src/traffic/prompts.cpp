#include "traffic/prompts.h"

#include <algorithm>
#include <array>
#include <random>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"

namespace tenon::traffic {
namespace {

constexpr std::uint64_t kMostBytes = 256 << 20;

// Short and common, so that most are one token of most tokenizers.
constexpr std::array<std::string_view, 160> kWords = {
    "time",     "year",    "people",      "way",       "day",        "man",    "thing",   "woman",
    "life",     "child",   "world",       "school",    "state",      "family", "student", "group",
    "country",  "problem", "hand",        "part",      "place",      "case",   "week",    "company",
    "system",   "program", "question",    "work",      "government", "number", "night",   "point",
    "home",     "water",   "room",        "mother",    "area",       "money",  "story",   "fact",
    "month",    "lot",     "right",       "study",     "book",       "eye",    "job",     "word",
    "business", "issue",   "side",        "kind",      "head",       "house",  "service", "friend",
    "father",   "power",   "hour",        "game",      "line",       "end",    "member",  "law",
    "car",      "city",    "community",   "name",      "president",  "team",   "minute",  "idea",
    "kid",      "body",    "information", "back",      "parent",     "face",   "others",  "level",
    "office",   "door",    "health",      "person",    "art",        "war",    "history", "party",
    "result",   "change",  "morning",     "reason",    "research",   "girl",   "guy",     "moment",
    "air",      "teacher", "force",       "education", "the",        "of",     "and",     "to",
    "in",       "is",      "that",        "it",        "was",        "for",    "on",      "are",
    "with",     "as",      "his",         "they",      "at",         "be",     "this",    "from",
    "have",     "or",      "by",          "one",       "had",        "not",    "but",     "what",
    "all",      "were",    "when",        "we",        "there",      "can",    "an",      "your",
    "which",    "their",   "said",        "if",        "will",       "each",   "about",   "how",
    "up",       "out",     "them",        "then",      "she",        "many",   "some",    "so",
    "these",    "would",   "other",       "into",      "has",        "more",   "her",     "two"};

void add_words(std::string& text, std::int64_t count, std::mt19937_64& random) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (!text.empty()) text += ' ';
    text += kWords[static_cast<std::size_t>(random() % kWords.size())];
  }
}

std::string prompt_of(std::string_view line, const std::string& where) {
  if (!line.starts_with('{') && !line.starts_with('"')) return std::string(line);
  const Json parsed = parse_json(line, where);
  if (parsed.is_string()) return parsed.get<std::string>();
  for (const char* key : {"prompt", "text_input", "text"})
    if (const Json* field = find_field(parsed, key); field != nullptr && field->is_string())
      return field->get<std::string>();
  bad_input("{}: the object has none of the texts \"prompt\", \"text_input\", \"text\"", where);
}

}  // namespace

Prompts::Prompts(std::int64_t words, std::int64_t shared_words, std::uint64_t seed)
    : words_(words), shared_words_(std::min(words, shared_words)), seed_(seed) {}

Prompts Prompts::read(const std::filesystem::path& path) {
  if (std::filesystem::is_regular_file(path) && std::filesystem::file_size(path) > kMostBytes)
    bad_input("{}: prompts are longer than {} MiB", path.string(), kMostBytes >> 20);
  const std::string content = read_file(path);
  Prompts prompts;
  std::string_view rest = content;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    prompts.lines_.push_back(prompt_of(line, fmt::format("{}:{}", path.string(), number)));
  }
  if (prompts.lines_.empty()) bad_input("{}: holds no prompt, one a line", path.string());
  return prompts;
}

std::string Prompts::text(std::size_t index) const {
  if (!synthetic()) return lines_[index % lines_.size()];
  std::string text;
  std::mt19937_64 shared(seed_);
  add_words(text, shared_words_, shared);
  // Neighbouring seeds of this generator begin alike unless they are spread.
  std::seed_seq spread{seed_ & 0xffffffffU, seed_ >> 32, std::uint64_t{index} & 0xffffffffU,
                       std::uint64_t{index} >> 32, std::uint64_t{1}};
  std::mt19937_64 own(spread);
  add_words(text, words_ - shared_words_, own);
  return text;
}

}  // namespace tenon::traffic
