#include "serving/text_files.h"

#include "base/error.h"

namespace tenon::serving {
namespace {

Json json_of(const bundle::Files& files, const char* name) {
  const auto found = files.find(name);
  return found == files.end() ? Json::object() : parse_json(found->second, name);
}

}  // namespace

bool has_tokenizer(const bundle::Files& files) {
  return files.contains("tokenizer.json") || files.contains("tokenizer.model") ||
         files.contains("vocab.json");
}

TextFiles read_text_files(const bundle::Files& files, const std::string& model) {
  return with_context(model, [&] {
    if (!has_tokenizer(files)) {
      Error error(ErrorCode::bad_input,
                  "no tokenizer.json or tokenizer.model stands beside the model");
      throw error.hint("add it: a server of text needs it");
    }
    TextFiles made;
    made.tokenizer = text::load_tokenizer(files);
    made.chat_template = text::find_chat_template(files, json_of(files, "config.json"));
    made.chat_variables = text::chat_variables(files);
    made.defaults = with_context("generation_config.json", [&] {
      return pipelines::GenerationConfig::from_json(json_of(files, "generation_config.json"));
    });
    if (made.defaults.eos_token_ids.empty() && made.tokenizer->eos())
      made.defaults.eos_token_ids.push_back(*made.tokenizer->eos());
    return made;
  });
}

}  // namespace tenon::serving
