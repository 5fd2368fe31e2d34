// tenon run for decoders: text from a prompt or token ids.
#include <cstdio>

#include <fmt/ranges.h>

#include "backend/cpu/cpu_backend.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "commands/run.h"
#include "text/grammar/constraint.h"
#include "text_model.h"

namespace tenon::apps {
namespace {

template <typename T, typename U>
void set_if(T& field, const std::optional<U>& value) {
  if (value) field = static_cast<U>(*value);
}

pipelines::GenerationConfig settings(const RunOptions& run, const TextOptions& options,
                                     pipelines::GenerationConfig config) {
  set_if(config.max_new_tokens, options.max_new_tokens);
  if (!config.max_new_tokens && !config.max_length) config.max_new_tokens = 128;
  set_if(config.min_new_tokens, options.min_new_tokens);
  if (options.temperature) {
    config.temperature = *options.temperature;
    config.do_sample = *options.temperature > 0;
  }
  set_if(config.top_k, options.top_k);
  set_if(config.top_p, options.top_p);
  set_if(config.min_p, options.min_p);
  set_if(config.typical_p, options.typical_p);
  set_if(config.repetition_penalty, options.repetition);
  set_if(config.presence_penalty, options.presence);
  set_if(config.frequency_penalty, options.frequency);
  set_if(config.no_repeat_ngram_size, options.no_repeat_ngram);
  set_if(config.num_beams, options.num_beams);
  if (options.num_beams && *options.num_beams > 1 && !options.temperature) config.do_sample = false;
  set_if(config.length_penalty, options.length_penalty);
  set_if(config.num_return_sequences, options.sequences);
  set_if(config.seed, run.seed);
  set_if(config.logprobs, options.logprobs);
  config.stop_strings.insert(config.stop_strings.end(), options.stop.begin(), options.stop.end());
  if (options.ignore_eos) config.eos_token_ids.clear();
  for (const std::string& pair : options.logit_bias) {
    const auto colon = pair.find(':');
    try {
      config.logit_bias[std::stoi(pair.substr(0, colon))] =
          std::stod(pair.substr(colon == std::string::npos ? pair.size() : colon + 1));
    } catch (const std::exception&) {
      fail(ErrorCode::usage, "--logit-bias {} is not ID:BIAS", pair);
    }
  }
  return config;
}

std::shared_ptr<const text::grammar::Constraint> constraint(const TextOptions& options,
                                                            const TextModel& model) {
  const int given = int{!options.json_schema.empty()} + int{!options.regex.empty()} +
                    int{!options.choices.empty()} + int{!options.grammar.empty()} +
                    int{options.json_object};
  if (given == 0) return nullptr;
  if (given > 1) {
    fail(ErrorCode::usage,
         "give one of --json-schema, --json-object, --regex, --choice and --grammar");
  }
  namespace grammar = text::grammar;
  const auto from_file = [](const std::string& path, auto parse) {
    return with_context(path, [&] { return parse(read_file(path)); });
  };
  grammar::Grammar made =
      !options.json_schema.empty() ? from_file(options.json_schema, grammar::json_schema_grammar)
      : !options.grammar.empty()   ? from_file(options.grammar, grammar::parse_grammar)
      : !options.regex.empty()     ? grammar::regex_grammar(options.regex)
      : options.json_object        ? grammar::json_object_grammar()
                                   : grammar::choice_grammar(options.choices);
  auto tokens = std::make_shared<const grammar::TokenTrie>(model.tokenizer());
  return std::make_shared<const grammar::Constraint>(std::move(made), std::move(tokens));
}

Json sequence_json(const pipelines::GenerationResult::Sequence& sequence) {
  Json made = {
      {"text", sequence.text}, {"ids", sequence.ids}, {"finish_reason", sequence.finish_reason}};
  if (!sequence.logprobs.empty()) {
    Json list = Json::array();
    for (const auto& token : sequence.logprobs) {
      Json top = Json::array();
      for (const auto& other : token.top)
        top.push_back({{"id", other.id}, {"logprob", other.logprob}});
      list.push_back({{"id", token.chosen.id}, {"logprob", token.chosen.logprob}, {"top", top}});
    }
    made["logprobs"] = list;
  }
  return made;
}

}  // namespace

void add_text_flags(CLI::App& command, TextOptions& options) {
  command.add_option("--system", options.system, "system message, with --chat");
  command.add_option("--ids", options.ids, "token ids instead of text")->delimiter(',');
  command.add_flag("--chat", options.chat, "put the prompt through the model's chat template");
  command.add_option("--cache-tokens", options.cache_tokens,
                     "places in the cache (default: the model's context, at most 8192)");
  command.add_option("--max-new-tokens", options.max_new_tokens, "tokens to write at most");
  command.add_option("--min-new-tokens", options.min_new_tokens, "no end before so many");
  command.add_option("--temperature", options.temperature, "0 is greedy");
  command.add_option("--top-k", options.top_k, "sample among the k likeliest");
  command.add_option("--top-p", options.top_p, "sample among the likeliest that hold this share");
  command.add_option("--min-p", options.min_p, "drop tokens below this share of the likeliest");
  command.add_option("--typical-p", options.typical_p, "locally typical sampling");
  command.add_option("--repetition-penalty", options.repetition,
                     "above 1 discourages what stands in prompt and text");
  command.add_option("--presence-penalty", options.presence, "as OpenAI defines it");
  command.add_option("--frequency-penalty", options.frequency, "as OpenAI defines it");
  command.add_option("--no-repeat-ngram-size", options.no_repeat_ngram,
                     "no sequence of so many tokens twice");
  command.add_option("--logit-bias", options.logit_bias,
                     "ID:BIAS, added to the token's score; repeatable");
  command.add_option("--num-beams", options.num_beams, "beam search with so many beams");
  command.add_option("--length-penalty", options.length_penalty,
                     "of beams: above 0 favours long texts");
  command.add_option("--num-return-sequences", options.sequences, "how many texts");
  command.add_option("--stop", options.stop, "text that ends the output; repeatable");
  command.add_option("--logprobs", options.logprobs,
                     "with --json: log-probabilities and so many alternatives");
  command.add_option("--json-schema", options.json_schema,
                     "file with a JSON schema that the text matches");
  command.add_flag("--json-object", options.json_object, "the text is a JSON object");
  command.add_option("--regex", options.regex, "the text matches it as a whole");
  command.add_option("--choice", options.choices, "the text is one of these; repeatable");
  command.add_option("--grammar", options.grammar, "file with a grammar that the text matches");
  command.add_flag("--ignore-eos", options.ignore_eos, "write on past the end token");
}

void run_text(const RunOptions& run, const TextOptions& options, Model source, double load_s,
              const Common& common) {
  const auto start = std::chrono::steady_clock::now();
  backend::CpuBackend backend(common.threads);
  TextModel model(std::move(source), backend, options.cache_tokens);
  load_s += seconds_since(start);
  if (!options.ids.empty() && !run.prompt.empty())
    fail(ErrorCode::usage, "give either -p or --ids");
  if (options.chat && run.prompt.empty())
    fail(ErrorCode::usage, "--chat needs a prompt as text: give -p TEXT in place of --ids");
  if (!options.system.empty() && !options.chat)
    fail(ErrorCode::usage, "--system is a part of a chat: add --chat");
  const std::vector<std::int32_t> prompt = !options.ids.empty() ? options.ids
                                           : options.chat
                                               ? model.encode_chat(run.prompt, options.system)
                                               : model.encode(run.prompt);
  pipelines::GenerationConfig config = settings(run, options, model.defaults());
  config.constraint = constraint(options, model);
  std::optional<pipelines::TokenizerStream> stream;
  if (model.has_tokenizer()) stream.emplace(model.tokenizer());
  const bool streams = !common.json && config.num_return_sequences == 1;
  const auto on_token = [&](const pipelines::TokenEvent& event) {
    if (streams && !event.text.empty()) {
      std::fwrite(event.text.data(), 1, event.text.size(), stdout);
      std::fflush(stdout);
    }
    return true;
  };
  const auto result =
      pipelines::generate(model.decoder(), prompt, config, on_token, stream ? &*stream : nullptr);
  if (common.json) {
    Json object = sequence_json(result.sequences.at(0));
    object["prompt_ids"] = prompt;
    object["seed"] = result.seed;
    const auto decoded = static_cast<double>(result.generated_tokens - config.num_return_sequences);
    object["timings"] = {
        {"load_s", load_s},
        {"prefill_s", result.prefill_s},
        {"decode_s", result.decode_s},
        {"prefill_tokens_per_s",
         static_cast<double>(prompt.size()) / std::max(result.prefill_s, 1e-9)},
        {"decode_tokens_per_s", std::max(decoded, 0.0) / std::max(result.decode_s, 1e-9)}};
    if (result.sequences.size() > 1) {
      object["sequences"] = Json::array();
      for (const auto& sequence : result.sequences)
        object["sequences"].push_back(sequence_json(sequence));
    }
    print_json(object);
    return;
  }
  if (streams) {
    if (config.num_beams > 1) fmt::print("{}", result.sequences.at(0).text);
    if (!stream) fmt::print("{}", fmt::join(result.sequences.at(0).ids, ","));
    fmt::print("\n");
    return;
  }
  for (const auto& sequence : result.sequences) fmt::print("{}\n---\n", sequence.text);
}

}  // namespace tenon::apps
