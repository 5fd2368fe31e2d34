#include "serving/openai/embedding_fields.h"

#include <algorithm>
#include <array>

namespace tenon::serving::openai {
namespace {

constexpr std::array<std::string_view, 5> kKnown = {"model", "input", "encoding_format",
                                                    "dimensions", "user"};

std::vector<std::int32_t> ids_of(const Json& list, const text::Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  for (const Json& one : list) {
    const auto most = static_cast<std::uint64_t>(tokenizer.vocabulary_size());
    if (!one.is_number_unsigned() || one.get<std::uint64_t>() >= most)
      bad_input("field \"input\" holds something else than token ids, which are 0 to {}", most - 1);
    ids.push_back(one.get<std::int32_t>());
  }
  return ids;
}

std::vector<std::int32_t> one_input(const Json& value, const text::Tokenizer& tokenizer) {
  const bool is_text = value.is_string();
  if (!is_text && !value.is_array())
    bad_input(
        "field \"input\": a text, a list of texts, a list of token ids, or a list of such lists "
        "was expected");
  const bool is_empty = is_text ? value.get_ref<const std::string&>().empty() : value.empty();
  if (is_empty) bad_input("field \"input\" holds an empty text, which has no embedding");
  auto ids =
      is_text ? tokenizer.encode(value.get_ref<const std::string&>()) : ids_of(value, tokenizer);
  if (ids.empty()) bad_input("field \"input\" holds a text without tokens");
  return ids;
}

void read_inputs(const Json& body, ServedModel& model, EmbeddingRequest& request) {
  const Json* input = find_field(body, "input");
  if (input == nullptr) bad_input("field \"input\" is missing");
  const text::Tokenizer& tokenizer = *model.embedding_tokenizer();
  const std::int64_t most = model.info().limits.context_tokens;
  const auto add = [&](const Json& value) {
    auto ids = one_input(value, tokenizer);
    const auto tokens = static_cast<std::int64_t>(ids.size());
    if (tokens > most)
      bad_input("input {} has {} tokens, this model takes at most {}", request.inputs.size(),
                tokens, most);
    request.tokens += tokens;
    if (request.tokens > kMaxInputTokens)
      bad_input("field \"input\" has more than {} tokens, the most of one request",
                kMaxInputTokens);
    request.inputs.push_back(std::move(ids));
  };
  const bool many = input->is_array() && !input->empty() && !input->front().is_number();
  if (!many) return add(*input);
  if (input->size() > kMaxInputs)
    bad_input("field \"input\" has {} inputs, at most {} were expected", input->size(), kMaxInputs);
  for (const Json& value : *input) add(value);
}

}  // namespace

std::int64_t embedding_width(const ModelInfo& info) {
  const auto found =
      std::find_if(info.outputs.begin(), info.outputs.end(),
                   [](const TensorSpec& spec) { return spec.name == "sentence_embedding"; });
  return found->shape.back();
}

EmbeddingRequest read_embedding_request(const Json& body, ServedModel& model) {
  for (const auto& [key, value] : body.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end() && !value.is_null())
      bad_input("field \"{}\" is not known here", key.substr(0, 60));
  }
  EmbeddingRequest request;
  const std::string format = get_string(body, "encoding_format", "float");
  if (format != "float" && format != "base64")
    bad_input("field \"encoding_format\" is \"{}\", expected float or base64",
              format.substr(0, 40));
  request.base64 = format == "base64";
  const std::int64_t width = embedding_width(model.info());
  request.dimensions = get_int(body, "dimensions", 1, width, width);
  get_string(body, "user", "");
  read_inputs(body, model, request);
  return request;
}

}  // namespace tenon::serving::openai
