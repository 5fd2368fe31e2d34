// tenon run: text from a prompt or token ids; plain tensors from .npy files.
#include <cstdio>

#include <fmt/ranges.h>

#include "base/error.h"
#include "commands/commands.h"
#include "passes/target.h"
#include "session/tensor_session.h"
#include "tensor/npy.h"
#include "text_model.h"

namespace tenon::apps {
namespace {

struct Options {
  std::string source;
  std::string prompt, system;
  std::vector<std::int32_t> ids;
  bool chat = false;
  std::string precision = "bf16";
  std::optional<std::int64_t> max_new_tokens, min_new_tokens, top_k, num_beams, sequences,
      no_repeat_ngram, logprobs;
  std::optional<double> temperature, top_p, min_p, typical_p, repetition, presence, frequency,
      length_penalty;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> stop;
  std::vector<std::string> logit_bias;
  bool ignore_eos = false;
  std::int64_t cache_tokens = 0;
  std::vector<std::string> inputs;
  std::string output_dir;
};

template <typename T, typename U>
void set_if(T& field, const std::optional<U>& value) {
  if (value) field = static_cast<U>(*value);
}

pipelines::GenerationConfig settings(const Options& options, pipelines::GenerationConfig config) {
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
  set_if(config.seed, options.seed);
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

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
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

void run_text(const Options& options, const Common& common) {
  const auto start = std::chrono::steady_clock::now();
  backend::CpuBackend backend(common.threads);
  TextModel model(load_model(options.source, Target::native(parse_precision(options.precision)),
                             common.threads),
                  backend, options.cache_tokens);
  const double load_s = seconds_since(start);
  if (!options.ids.empty() && !options.prompt.empty())
    fail(ErrorCode::usage, "give either -p or --ids");
  if (options.chat && options.prompt.empty())
    fail(ErrorCode::usage, "--chat needs a prompt as text: give -p TEXT in place of --ids");
  if (!options.system.empty() && !options.chat)
    fail(ErrorCode::usage, "--system is a part of a chat: add --chat");
  const std::vector<std::int32_t> prompt = !options.ids.empty() ? options.ids
                                           : options.chat
                                               ? model.encode_chat(options.prompt, options.system)
                                               : model.encode(options.prompt);
  const pipelines::GenerationConfig config = settings(options, model.defaults());
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

void run_tensors(const Options& options, const Common& common) {
  backend::CpuBackend backend(common.threads);
  Target target = Target::native(parse_precision(options.precision));
  target.keep_state = false;
  const Model model = load_model(options.source, target, common.threads);
  session::TensorMap inputs;
  for (const std::string& pair : options.inputs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos)
      fail(ErrorCode::usage, "--input {} is not NAME=FILE.npy", pair);
    inputs[pair.substr(0, equals)] = read_npy(pair.substr(equals + 1));
  }
  session::TensorSession session(model.engine(), backend);
  const auto outputs = session.run(inputs);
  std::filesystem::create_directories(options.output_dir);
  Json written = Json::object();
  for (const auto& [name, tensor] : outputs) {
    std::string file = name;
    std::replace(file.begin(), file.end(), '/', '_');
    const auto path = std::filesystem::path(options.output_dir) / (file + ".npy");
    write_npy(path, tensor.view());
    written[name] = path.string();
    if (!common.json)
      fmt::print(stderr, "{} {} {} -> {}\n", name, dtype_name(tensor.dtype()),
                 to_string(tensor.shape()), path.string());
  }
  if (common.json) print_json({{"outputs", written}});
}

void run_model(const Options& options, const Common& common) {
  if (!options.inputs.empty()) {
    if (options.output_dir.empty()) fail(ErrorCode::usage, "--input needs --output-dir");
    return run_tensors(options, common);
  }
  if (options.prompt.empty() && options.ids.empty()) {
    fail(ErrorCode::usage,
         "the prompt is empty: give -p TEXT, --ids 1,2,3 or --input NAME=FILE.npy");
  }
  run_text(options, common);
}

void add_sampling(CLI::App& command, Options& options) {
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
  command.add_option("--seed", options.seed, "of sampling");
  command.add_option("--stop", options.stop, "text that ends the output; repeatable");
  command.add_option("--logprobs", options.logprobs,
                     "with --json: log-probabilities and so many alternatives");
  command.add_flag("--ignore-eos", options.ignore_eos, "write on past the end token");
}

}  // namespace

void add_run(CLI::App& program, Common& common, int&) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_subcommand(program, common, "run", "write text, or compute tensors",
                                     "tenon run llama2.tenon -p \"Why is the sky blue?\" --chat");
  command->add_option("SRC", options->source, "checkpoint, ONNX folder or file, or bundle")
      ->required();
  command->add_option("-p,--prompt", options->prompt, "text to go on from");
  command->add_option("--system", options->system, "system message, with --chat");
  command->add_option("--ids", options->ids, "token ids instead of text")->delimiter(',');
  command->add_flag("--chat", options->chat, "put the prompt through the model's chat template");
  command->add_option("--precision", options->precision,
                      "fp32, bf16 or int8, unless SRC is a bundle");
  command->add_option("--cache-tokens", options->cache_tokens,
                      "places in the cache (default: the model's context, at most 8192)");
  add_sampling(*command, *options);
  command->add_option("--input", options->inputs,
                      "NAME=FILE.npy: run on plain tensors; repeatable");
  command->add_option("--output-dir", options->output_dir, "where the outputs go, one .npy each");
  command->callback([options, &common] { run_model(*options, common); });
}

}  // namespace tenon::apps
