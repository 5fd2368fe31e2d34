// Choice of the tokenizer by the files that are there.
#include "text/tokenizer.h"

#include <array>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "text/tokenizer/json_tokenizer.h"
#include "text/tokenizer/sentencepiece_tokenizer.h"
#include "text/tokenizer/settings.h"

namespace tenon::text {
namespace {

constexpr std::array<const char*, 7> kFiles = {
    "tokenizer.json", "tokenizer.model",         "vocab.json",           "merges.txt",
    "config.json",    "special_tokens_map.json", "tokenizer_config.json"};

}  // namespace

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string text;
  const auto decoding = start_decoding(skip_special);
  for (const std::int32_t id : ids) decoding->push(id, text);
  decoding->finish(text);
  return text;
}

TokenizerFiles read_tokenizer_files(const std::filesystem::path& directory) {
  TokenizerFiles files;
  for (const char* name : kFiles) {
    const auto path = directory / name;
    if (std::filesystem::exists(path)) files.emplace(name, read_file(path));
  }
  return files;
}

std::unique_ptr<Tokenizer> load_tokenizer(const TokenizerFiles& files) {
  const TokenizerSettings settings = read_settings(files);
  if (const auto json = files.find("tokenizer.json"); json != files.end()) {
    return with_context("tokenizer.json", [&] {
      return make_json_tokenizer(parse_json(json->second, "tokenizer.json"), settings);
    });
  }
  if (const auto model = files.find("tokenizer.model"); model != files.end()) {
    return with_context("tokenizer.model",
                        [&] { return make_sentencepiece_tokenizer(model->second, settings); });
  }
  const auto vocabulary = files.find("vocab.json");
  const auto merges = files.find("merges.txt");
  if (vocabulary != files.end() && merges != files.end()) {
    return with_context("vocab.json", [&] {
      return make_json_tokenizer(json_from_merges(vocabulary->second, merges->second, settings),
                                 settings);
    });
  }
  throw Error(ErrorCode::bad_input, "no tokenizer found")
      .hint("expected tokenizer.json, tokenizer.model, or vocab.json with merges.txt");
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& directory) {
  return with_context(directory.string(),
                      [&] { return load_tokenizer(read_tokenizer_files(directory)); });
}

TokenizerFiles files_below(const TokenizerFiles& files, std::string_view folder) {
  TokenizerFiles found;
  for (const auto& [path, bytes] : files) {
    if (path.starts_with(folder)) found.emplace(path.substr(folder.size()), bytes);
  }
  return found;
}

}  // namespace tenon::text
