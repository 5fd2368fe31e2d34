// Merging of the small files, with the defaults of each tokenizer family.
#include "text/tokenizer/settings.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "base/json.h"

namespace tenon::text {
namespace {

struct Family {
  std::string_view name;
  std::string_view model_type;  // in config.json
  std::string_view bos, eos, unk, pad;
  bool frames_by_flags;
  bool add_bos;
};
constexpr std::array<Family, 6> kFamilies = {{
    {"LlamaTokenizer", "llama", "<s>", "</s>", "<unk>", "", true, true},
    {"CodeLlamaTokenizer", "", "<s>", "</s>", "<unk>", "", true, true},
    {"GemmaTokenizer", "gemma", "<bos>", "<eos>", "<unk>", "<pad>", true, true},
    {"GPTNeoXTokenizer", "gpt_neox", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "", true,
     false},
    {"GPT2Tokenizer", "gpt2", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "", false, false},
    {"CLIPTokenizer", "clip_text_model", "<|startoftext|>", "<|endoftext|>", "<|endoftext|>",
     "<|endoftext|>", false, false},
}};

Json file_json(const TokenizerFiles& files, const char* name) {
  const auto file = files.find(name);
  if (file == files.end()) return nullptr;
  Json json = parse_json(file->second, name);
  if (!json.is_object()) bad_input("{}: an object was expected", name);
  return json;
}

AddedToken special_token(const Json& json, std::string_view role) {
  AddedToken token;
  if (json.is_string()) {
    token.content = json.get<std::string>();
    token.normalized = false;
  } else if (json.is_object()) {
    token = added_token(json);
  } else {
    bad_input("\"{}\" is neither a string nor an object", role);
  }
  token.special = true;
  return token;
}

void read_roles(const Json& json, TokenizerSettings& settings) {
  const auto read = [&](const char* key, std::optional<AddedToken>& role) {
    const Json* field = find_field(json, key);
    if (field != nullptr && !role) role = special_token(*field, key);
  };
  read("bos_token", settings.bos);
  read("eos_token", settings.eos);
  read("unk_token", settings.unk);
  read("pad_token", settings.pad);
  const Json* more = find_field(json, "additional_special_tokens");
  if (more == nullptr || !settings.more_special.empty()) return;
  if (!more->is_array()) bad_input("\"additional_special_tokens\" is not an array");
  for (const Json& token : *more) {
    settings.more_special.push_back(special_token(token, "additional_special_tokens"));
  }
}

void read_added(const Json& config, TokenizerSettings& settings) {
  const Json* added = find_field(config, "added_tokens_decoder");
  if (added == nullptr) return;
  if (!added->is_object()) bad_input("\"added_tokens_decoder\" is not an object");
  for (const auto& [key, token] : added->items()) {
    std::int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      bad_input("\"{}\" in added_tokens_decoder is not a token id", key);
    }
    settings.added.emplace_back(id, added_token(token));
  }
  std::sort(settings.added.begin(), settings.added.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
}

const Family* family_of(const Json& config, const Json& model, TokenizerSettings& settings) {
  settings.family = get_string(config, "tokenizer_class", "");
  if (settings.family.ends_with("Fast")) settings.family.resize(settings.family.size() - 4);
  const std::string type = settings.family.empty() ? get_string(model, "model_type", "") : "";
  for (const Family& family : kFamilies) {
    if (settings.family == family.name || (!type.empty() && type == family.model_type)) {
      settings.family = family.name;
      return &family;
    }
  }
  return nullptr;
}

void apply_defaults(const Family& family, TokenizerSettings& settings) {
  const auto fill = [](std::optional<AddedToken>& role, std::string_view content) {
    if (!role && !content.empty()) {
      role = AddedToken{.content = std::string(content), .normalized = false, .special = true};
    }
  };
  fill(settings.bos, family.bos);
  fill(settings.eos, family.eos);
  fill(settings.unk, family.unk);
  fill(settings.pad, family.pad);
}

// A special token that is also listed by id has the flags that stand there.
void take_listed_flags(TokenizerSettings& settings) {
  for (auto* role : {&settings.bos, &settings.eos, &settings.unk, &settings.pad}) {
    for (const auto& [id, token] : settings.added) {
      if (*role && (*role)->content == token.content) {
        *role = token;
        (*role)->special = true;
      }
    }
  }
}

}  // namespace

TokenizerSettings read_settings(const TokenizerFiles& files) {
  TokenizerSettings settings;
  const Json config = file_json(files, "tokenizer_config.json");
  const Json map = file_json(files, "special_tokens_map.json");
  const Json model = file_json(files, "config.json");
  const Family* family = family_of(config, model, settings);
  with_context("tokenizer_config.json", [&] {
    settings.has_config = config.is_object();
    read_added(config, settings);
    read_roles(config, settings);
    settings.add_bos = get_bool(config, "add_bos_token", family != nullptr && family->add_bos);
    settings.add_eos = get_bool(config, "add_eos_token", false);
    settings.legacy = get_bool(config, "legacy", true);
    settings.clean_up_spaces = get_bool(config, "clean_up_tokenization_spaces", false);
    if (find_field(config, "add_prefix_space") != nullptr) {
      settings.add_prefix_space = get_bool(config, "add_prefix_space", false);
    }
  });
  with_context("special_tokens_map.json", [&] { read_roles(map, settings); });
  if (family != nullptr) {
    settings.frames_by_flags = family->frames_by_flags;
    apply_defaults(*family, settings);
  }
  take_listed_flags(settings);
  return settings;
}

}  // namespace tenon::text
