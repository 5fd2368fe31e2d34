// tokenizer.json as it would be written for checkpoints that carry only vocab.json and merges.txt.
#include <string>
#include <utility>

#include "base/error.h"
#include "text/tokenizer/json_tokenizer.h"

namespace tenon::text {
namespace {

constexpr const char* kClipPattern = R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";

Json merge_list(std::string_view text) {
  Json merges = Json::array();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    merges.push_back(std::string(line));
  }
  return merges;
}

void complete_clip(Json& json, const Json& vocabulary, const TokenizerSettings& settings) {
  json["model"]["end_of_word_suffix"] = "</w>";
  json["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       {{{"type", "NFC"}},
        {{"type", "Replace"}, {"pattern", {{"Regex", R"(\s+)"}}}, {"content", " "}},
        {{"type", "Lowercase"}}}}};
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers",
                            {{{"type", "Split"},
                              {"pattern", {{"Regex", kClipPattern}}},
                              {"behavior", "Removed"},
                              {"invert", true}},
                             {{"type", "ByteLevel"}, {"add_prefix_space", false}}}}};
  const auto pair = [&](const std::optional<AddedToken>& token) {
    const std::string content = token ? token->content : "";
    return Json::array({content, get_int(vocabulary, content.c_str(), 0, Vocabulary::kMaxId)});
  };
  json["post_processor"] = {
      {"type", "RobertaProcessing"}, {"cls", pair(settings.bos)}, {"sep", pair(settings.eos)}};
}

}  // namespace

Json json_from_merges(std::string_view vocabulary, std::string_view merges,
                      const TokenizerSettings& settings) {
  const bool clip = settings.family == "CLIPTokenizer";
  if (!clip && settings.family != "GPT2Tokenizer" && settings.family != "GPTNeoXTokenizer") {
    throw Error(
        ErrorCode::bad_input,
        fmt::format("vocab.json and merges.txt of tokenizer class \"{}\" are not supported, "
                    "known are CLIPTokenizer, GPT2Tokenizer, GPTNeoXTokenizer",
                    settings.family))
        .hint("add the tokenizer.json of this checkpoint");
  }
  Json tokens = parse_json(vocabulary, "vocab.json");
  Json json;
  json["model"] = {{"type", "BPE"}, {"vocab", tokens}, {"merges", merge_list(merges)}};
  if (settings.unk) json["model"]["unk_token"] = settings.unk->content;
  json["decoder"] = {{"type", "ByteLevel"}};
  if (clip) {
    complete_clip(json, tokens, settings);
  } else {
    json["pre_tokenizer"] = {{"type", "ByteLevel"},
                             {"add_prefix_space", settings.add_prefix_space.value_or(false)}};
  }
  return json;
}

}  // namespace tenon::text
