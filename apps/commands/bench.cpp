// tenon bench: load, prefill and decode speed of one or more models, beside the machine's limits.
#include <fstream>

#include "base/error.h"
#include "base/progress.h"
#include "commands/commands.h"
#include "machine_limits.h"
#include "text_model.h"

namespace tenon::apps {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::vector<std::string> sources;
  std::string precision = "bf16";
  std::int64_t prompt_tokens = 128;
  std::int64_t new_tokens = 64;
  std::int64_t batch = 1;
  int repeat = 5;
  bool steps = false;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Series {
  std::vector<double> values;
  double quantile(double share) const {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    return sorted.at(
        static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5));
  }
  Json json() const {
    return {{"median", quantile(0.5)},
            {"min", quantile(0)},
            {"max", quantile(1)},
            {"p90", quantile(0.9)},
            {"p99", quantile(0.99)}};
  }
};

std::uint64_t resident_bytes() {
  std::ifstream status("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  status >> total >> resident;
  return resident * 4096;
}

class Subject {
 public:
  Subject(const std::string& source, const Options& options, const Common& common,
          backend::Backend& backend)
      : options_(options) {
    const std::uint64_t before = resident_bytes();
    const auto start = Clock::now();
    const std::int64_t cache =
        (options.prompt_tokens + options.new_tokens + 2 * kernels::kPageTokens) * options.batch;
    model_ = std::make_unique<TextModel>(
        load_model(source, Target::native(parse_precision(options.precision)), common.threads),
        backend, cache);
    load_s_ = seconds_since(start);
    resident_ = resident_bytes() - std::min(before, resident_bytes());
  }

  // One round: prefill of every sequence, then steps of the whole batch.
  void round(bool counted) {
    session::DecoderSession& session = model_->session();
    std::vector<session::DecoderSession::Sequence> sequences;
    std::vector<std::vector<std::int32_t>> prompts;
    for (std::int64_t b = 0; b < options_.batch; ++b) {
      sequences.push_back(session.create());
      prompts.emplace_back();
      for (std::int64_t i = 0; i < options_.prompt_tokens; ++i)
        prompts.back().push_back(next_token());
    }
    const auto start = Clock::now();
    for (std::size_t b = 0; b < sequences.size(); ++b) {
      const session::DecoderSession::Input input{sequences[b], prompts[b]};
      session.forward(std::span(&input, 1));
    }
    if (counted) prefill_.values.push_back(seconds_since(start));
    for (std::int64_t step = 0; step < options_.new_tokens; ++step) {
      std::vector<std::int32_t> tokens;
      for (std::size_t b = 0; b < sequences.size(); ++b) tokens.push_back(next_token());
      std::vector<session::DecoderSession::Input> inputs;
      for (std::size_t b = 0; b < sequences.size(); ++b)
        inputs.push_back({sequences[b], std::span(tokens).subspan(b, 1)});
      const auto step_start = Clock::now();
      session.forward(inputs);
      if (counted) decode_.values.push_back(seconds_since(step_start));
    }
    for (const auto sequence : sequences) session.release(sequence);
  }

  void print_steps() {
    session::Executor& executor = model_->session().executor();
    executor.reset_timings();
    executor.enable_timings(true);
    round(false);
    executor.enable_timings(false);
    std::map<std::string, double> by_kernel;
    double total = 0;
    for (const auto& timing : executor.timings()) {
      by_kernel[timing.kernel.empty() ? "(view)" : timing.kernel] += timing.seconds;
      total += timing.seconds;
    }
    for (const auto& [kernel, seconds] : by_kernel) {
      fmt::print(stderr, "    {:<34} {:>9.2f} ms {:>5.1f} %\n", kernel, seconds * 1e3,
                 100 * seconds / total);
    }
  }

  // Bytes of weights that one decode step must read, and operations of one token.
  Json json(const MachineLimits& limits) const {
    const engine::Engine& engine = *model_->model().engine();
    std::uint64_t matrices = 0;
    double parameters = 0;
    for (const auto& step : engine.steps) {
      if (step.op != "tenon.Linear" && step.op != "MatMul") continue;
      const auto index = engine.values[static_cast<std::size_t>(step.inputs.at(1))].constant;
      if (index < 0) continue;
      const auto& constant = engine.constants[static_cast<std::size_t>(index)];
      matrices += constant.bytes;
      parameters += static_cast<double>(element_count(constant.shape));
    }
    const double prefill =
        static_cast<double>(options_.prompt_tokens * options_.batch) / prefill_.quantile(0.5);
    const double decode = static_cast<double>(options_.batch) / decode_.quantile(0.5);
    const double step_limit = limits.read_bytes_per_s / static_cast<double>(matrices) *
                              static_cast<double>(options_.batch);
    const double peak = engine.precision == "int8"                             ? limits.int8_ops
                        : engine.precision == "fp32" || limits.bf16_flops == 0 ? limits.fp32_flops
                                                                               : limits.bf16_flops;
    const double prefill_limit = peak / (2 * parameters);
    return {{"subject", model_->model().name},
            {"precision", engine.precision},
            {"isa", engine.isa},
            {"load_s", load_s_},
            {"resident_bytes", resident_},
            {"weight_bytes", engine.weight_bytes()},
            {"cache_bytes", model_->session().cache_bytes()},
            {"prompt_tokens", options_.prompt_tokens},
            {"new_tokens", options_.new_tokens},
            {"batch", options_.batch},
            {"prefill_s", prefill_.json()},
            {"prefill_tokens_per_s", prefill},
            {"prefill_limit_tokens_per_s", prefill_limit},
            {"first_token_s", prefill_.json()},
            {"decode_step_s", decode_.json()},
            {"decode_tokens_per_s", decode},
            {"decode_limit_tokens_per_s", step_limit},
            {"decode_bytes_per_step", matrices},
            {"error", model_->model().contents.evidence.is_object()
                          ? model_->model().contents.evidence.value("metrics", Json())
                          : Json()}};
  }

 private:
  std::int32_t next_token() {
    random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::int32_t>((random_ >> 33) %
                                     static_cast<std::uint64_t>(model_->session().vocabulary()));
  }

  const Options& options_;
  std::unique_ptr<TextModel> model_;
  double load_s_ = 0;
  std::uint64_t resident_ = 0;
  std::uint64_t random_ = 1;
  Series prefill_;
  Series decode_;
};

void print_table(const Json& rows, const MachineLimits& limits, const Options& options) {
  fmt::print(
      "machine: {} ({} threads), read {:.1f} GB/s, fp32 {:.0f}, bf16 {:.0f}, int8 {:.0f} G/s\n",
      cpu_info().model, cpu_info().cores, limits.read_bytes_per_s / 1e9, limits.fp32_flops / 1e9,
      limits.bf16_flops / 1e9, limits.int8_ops / 1e9);
  fmt::print("{} prompt tokens, {} new, batch {}, medians of {} rounds\n\n", options.prompt_tokens,
             options.new_tokens, options.batch, options.repeat);
  fmt::print("{:<20} {:<6} {:>8} {:>10} {:>20} {:>20} {:>10}\n", "model", "type", "load s",
             "memory", "prefill tok/s", "decode tok/s", "KL");
  for (const Json& row : rows) {
    const double prefill = row.at("prefill_tokens_per_s");
    const double decode = row.at("decode_tokens_per_s");
    const Json& error = row.at("error");
    fmt::print(
        "{:<20} {:<6} {:>8.2f} {:>10} {:>11.1f} ({:>3.0f} %) {:>11.1f} ({:>3.0f} %) {:>10}\n",
        row.at("subject").get<std::string>(), row.at("precision").get<std::string>(),
        row.at("load_s").get<double>(), format_bytes(row.at("resident_bytes").get<std::uint64_t>()),
        prefill, 100 * prefill / row.at("prefill_limit_tokens_per_s").get<double>(), decode,
        100 * decode / row.at("decode_limit_tokens_per_s").get<double>(),
        error.is_object() && error.contains("mean_kl")
            ? fmt::format("{:.1e}", error.at("mean_kl").get<double>())
            : "-");
  }
  fmt::print(
      "\nin brackets: share of what the machine's memory (decode) or arithmetic (prefill) "
      "allows\n");
}

void bench(const Options& options, const Common& common) {
  if (options.prompt_tokens < 1 || options.new_tokens < 1)
    fail(ErrorCode::usage, "at least one prompt token and one new token are needed");
  backend::CpuBackend backend(common.threads);
  const MachineLimits limits = measure_limits(backend.pool());
  std::vector<std::unique_ptr<Subject>> subjects;
  for (const auto& source : options.sources)
    subjects.push_back(std::make_unique<Subject>(source, options, common, backend));
  {
    Progress progress("measuring",
                      static_cast<std::uint64_t>(options.repeat + 1) * subjects.size());
    for (int round = 0; round <= options.repeat;
         ++round) {  // the first warms up; subjects alternate
      for (auto& subject : subjects) {
        subject->round(round > 0);
        progress.advance(1);
      }
    }
  }
  Json rows = Json::array();
  for (auto& subject : subjects) {
    rows.push_back(subject->json(limits));
    if (options.steps) subject->print_steps();
  }
  if (common.json) {
    print_json({{"machine",
                 {{"cpu", cpu_info().model},
                  {"threads", backend.threads()},
                  {"read_bytes_per_s", limits.read_bytes_per_s},
                  {"fp32_flops", limits.fp32_flops},
                  {"bf16_flops", limits.bf16_flops},
                  {"int8_ops", limits.int8_ops}}},
                {"subjects", rows}});
  } else {
    print_table(rows, limits, options);
  }
}

}  // namespace

void add_bench(CLI::App& program, Common& common, int&) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      add_subcommand(program, common, "bench", "measure speed beside the machine's limits",
                     "tenon bench llama2-bf16.tenon llama2-int8.tenon --prompt-tokens 512");
  command
      ->add_option("SRC", options->sources,
                   "bundles, checkpoints or ONNX folders; several take turns")
      ->required();
  command->add_option("--precision", options->precision,
                      "for what is not a bundle: fp32, bf16 or int8");
  command->add_option("--prompt-tokens", options->prompt_tokens, "length of the prompt")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--new-tokens", options->new_tokens, "steps after it")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--batch", options->batch, "sequences side by side")
      ->check(CLI::Range(1, 4096));
  command->add_option("--repeat", options->repeat, "rounds counted")->check(CLI::Range(1, 1000));
  command->add_flag("--steps", options->steps, "time spent in each kernel, on standard error");
  command->callback([options, &common] { bench(*options, common); });
}

}  // namespace tenon::apps
