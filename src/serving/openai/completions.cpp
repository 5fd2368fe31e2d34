// POST /v1/completions: texts or ids in, what follows them out.
#include <array>

#include "serving/constraint_fields.h"
#include "serving/openai/text_fields.h"
#include "serving/sampling_fields.h"

namespace tenon::serving::openai {
namespace {

constexpr std::array<std::string_view, 5> kOwn = {"prompt", "echo", "best_of", "suffix",
                                                  "add_special_tokens"};

std::vector<std::int32_t> ids_of(const Json& list) {
  std::vector<std::int32_t> ids;
  for (const Json& one : list) {
    if (!one.is_number_unsigned() || one.get<std::uint64_t>() > (1U << 30))
      bad_input("field \"prompt\" holds something else than token ids");
    ids.push_back(one.get<std::int32_t>());
  }
  return ids;
}

// One text, one list of ids, or a list of either.
std::vector<std::vector<std::int32_t>> prompts_of(const Json& body, const TextService& service) {
  const Json* prompt = find_field(body, "prompt");
  if (prompt == nullptr) bad_input("field \"prompt\" is missing");
  text::EncodeOptions options;
  options.add_special_tokens = get_bool(body, "add_special_tokens", true);
  const auto one = [&](const Json& value) {
    if (value.is_string())
      return service.tokenizer().encode(value.get_ref<const std::string&>(), options);
    if (!value.is_array() || value.empty())
      bad_input("field \"prompt\": a text, a list of token ids, or a list of them was expected");
    return ids_of(value);
  };
  const bool many = prompt->is_array() && !prompt->empty() && !prompt->front().is_number();
  if (!many) return {one(*prompt)};
  if (prompt->size() > kMaxPrompts)
    bad_input("field \"prompt\" has {} prompts, at most {} were expected", prompt->size(),
              kMaxPrompts);
  std::vector<std::vector<std::int32_t>> prompts;
  for (const Json& value : *prompt) prompts.push_back(one(value));
  return prompts;
}

// More texts than are given: the best of them are chosen by their log-probabilities.
void read_best_of(const Json& body, TextShape& shape, pipelines::GenerationConfig& config) {
  const std::int64_t given = config.num_return_sequences;
  const std::int64_t best = get_int(body, "best_of", 1, kMaxChoices, given);
  if (best < given) bad_input("field \"best_of\" is {}, at least n = {} was expected", best, given);
  if (best == given) return;
  if (shape.stream) bad_input("field \"best_of\": what is best is not known in a stream");
  shape.choices = given;
  config.num_return_sequences = best;
  if (!config.logprobs) config.logprobs = 0;
}

}  // namespace

void complete(const Context& context, const std::shared_ptr<http::Exchange>& exchange) {
  const Json body = request_object(exchange->request());
  const auto held = text_model(context, body);
  check_fields(body, kOwn);
  refuse(body, "suffix", "insertion is not offered");
  TextService& service = *held->text();
  TextShape shape = shape_of(body, false);
  const auto prompts = prompts_of(body, service);
  pipelines::GenerationConfig config = settings(service, body);
  if (!config.max_new_tokens) config.max_new_tokens = 16;  // as OpenAI's
  const bool echo = get_bool(body, "echo", false);
  if (find_field(body, "logprobs") != nullptr) {
    if (echo)
      bad_input(
          "fields \"echo\" and \"logprobs\": log-probabilities of the prompt are not computed");
    config.logprobs = get_int(body, "logprobs", 0, kMaxLogprobs);
    shape.logprobs = true;
  }
  read_best_of(body, shape, config);
  if (static_cast<std::int64_t>(prompts.size()) * config.num_return_sequences > 128)
    bad_input("{} prompts with {} answers each were asked for, at most 128 are given",
              prompts.size(), config.num_return_sequences);
  apply_constraint(config, text::OrderedJson::parse(exchange->request().body), service);
  std::vector<TextRequest> requests;
  for (const auto& prompt : prompts) {
    if (echo) shape.echo.push_back(service.tokenizer().decode(prompt));
    TextRequest request;
    request.prompt = prompt;
    request.config = config;
    requests.push_back(std::move(request));
  }
  run(context, exchange, held, std::move(requests), body, std::move(shape));
}

}  // namespace tenon::serving::openai
