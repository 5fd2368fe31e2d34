// tenon bench: load and speed of one or more models, beside the machine's limits.
#include "commands/bench.h"

#include <algorithm>
#include <fstream>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/progress.h"
#include "commands/bench_server.h"
#include "commands/commands.h"

namespace tenon::apps {
namespace {

std::uint64_t resident_now() {
  std::ifstream status("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  status >> total >> resident;
  return resident * 4096;
}

std::unique_ptr<BenchSubject> open_subject(const std::string& source, const BenchOptions& options,
                                           const Common& common, backend::Backend& backend) {
  const std::uint64_t before = resident_now();
  const auto start = BenchClock::now();
  Model model =
      load_model(source, Target::native(parse_precision(options.precision)), common.threads);
  auto subject = model.draws() ? bench_pictures(std::move(model), options, backend)
                               : bench_text(std::move(model), options, backend);
  subject->load_s = seconds_since(start);
  subject->resident_bytes = resident_now() - std::min(before, resident_now());
  return subject;
}

void print_steps(BenchSubject& subject) {
  const auto executors = subject.executors();
  for (const auto& [part, executor] : executors) {
    executor->reset_timings();
    executor->enable_timings(true);
  }
  subject.round(false);
  for (const auto& [part, executor] : executors) {
    executor->enable_timings(false);
    std::map<std::string, double> by_kernel;
    double total = 0;
    for (const auto& timing : executor->timings()) {
      by_kernel[timing.kernel.empty() ? "(view)" : timing.kernel] += timing.seconds;
      total += timing.seconds;
    }
    fmt::print(stderr, "  {}\n", part);
    for (const auto& [kernel, seconds] : by_kernel) {
      fmt::print(stderr, "    {:<34} {:>9.2f} ms {:>5.1f} %\n", kernel, seconds * 1e3,
                 100 * seconds / total);
    }
  }
}

void print_table(const Json& rows, const std::vector<std::unique_ptr<BenchSubject>>& subjects,
                 const MachineLimits& limits, const BenchOptions& options) {
  fmt::print(
      "machine: {} ({} threads), read {:.1f} GB/s, fp32 {:.0f}, bf16 {:.0f}, int8 {:.0f} G/s\n",
      cpu_info().model, cpu_info().cores, limits.read_bytes_per_s / 1e9, limits.fp32_flops / 1e9,
      limits.bf16_flops / 1e9, limits.int8_ops / 1e9);
  fmt::print("medians of {} rounds; in brackets the share of what the machine allows\n\n",
             options.repeat);
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    const Json& row = rows.at(i);
    fmt::print("{} {}: load {:.2f} s, memory {}", row.at("subject").get<std::string>(),
               row.at("precision").get<std::string>(), subjects[i]->load_s,
               format_bytes(subjects[i]->resident_bytes));
    const Json error = row.value("error", Json());
    if (error.is_object() && error.contains("mean_kl"))
      fmt::print(", mean KL {:.1e}", error.at("mean_kl").get<double>());
    fmt::print("\n");
    for (const BenchLine& line : subjects[i]->lines(limits)) {
      const std::string share =
          line.share > 0 ? fmt::format("({:.0f} %)", 100 * line.share) : std::string();
      fmt::print("  {:<20} {:>18} {}\n", line.what, line.speed, share);
    }
  }
}

void bench(const BenchOptions& options, const Common& common) {
  if (options.prompt_tokens < 1 || options.new_tokens < 1)
    fail(ErrorCode::usage, "at least one prompt token and one new token are needed");
  backend::CpuBackend backend(common.threads);
  const MachineLimits limits = measure_limits(backend.pool());
  std::vector<std::unique_ptr<BenchSubject>> subjects;
  for (const auto& source : options.sources)
    subjects.push_back(open_subject(source, options, common, backend));
  {
    Progress progress("measuring",
                      static_cast<std::uint64_t>(options.repeat + 1) * subjects.size());
    // The first round warms up; subjects take turns.
    for (int round = 0; round <= options.repeat; ++round) {
      for (auto& subject : subjects) {
        subject->round(round > 0);
        progress.advance(1);
      }
    }
  }
  Json rows = Json::array();
  for (auto& subject : subjects) {
    rows.push_back(subject->json(limits));
    if (options.steps) print_steps(*subject);
  }
  if (!common.json) return print_table(rows, subjects, limits, options);
  print_json({{"machine",
               {{"cpu", cpu_info().model},
                {"threads", backend.threads()},
                {"read_bytes_per_s", limits.read_bytes_per_s},
                {"fp32_flops", limits.fp32_flops},
                {"bf16_flops", limits.bf16_flops},
                {"int8_ops", limits.int8_ops}}},
              {"subjects", rows}});
}

}  // namespace

double Series::quantile(double share) const {
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  return sorted.at(static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5));
}

Json Series::json() const {
  return {{"median", quantile(0.5)},
          {"min", quantile(0)},
          {"max", quantile(1)},
          {"p90", quantile(0.9)},
          {"p99", quantile(0.99)}};
}

void add_bench(CLI::App& program, Common& common, int& exit_code) {
  const auto options = std::make_shared<BenchOptions>();
  const auto server = std::make_shared<ServerBenchOptions>();
  CLI::App* command =
      add_subcommand(program, common, "bench", "measure speed beside the machine's limits",
                     "tenon bench llama2-bf16.tenon llama2-int8.tenon --prompt-tokens 512");
  command->add_option("SRC", options->sources,
                      "bundles, checkpoints or ONNX folders; several take turns");
  command->add_option("--precision", options->precision,
                      "for what is not a bundle: fp32, bf16 or int8");
  command->add_option("--prompt-tokens", options->prompt_tokens, "length of the prompt")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--new-tokens", options->new_tokens, "steps after it")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--batch", options->batch, "sequences, or pictures, side by side")
      ->check(CLI::Range(1, 4096));
  command->add_option("--width", options->width, "of pictures (default: as trained)");
  command->add_option("--height", options->height, "likewise");
  command->add_option("--repeat", options->repeat, "rounds counted")->check(CLI::Range(1, 1000));
  command->add_flag("--steps", options->steps, "time spent in each kernel, on standard error");
  add_server_options(*command, *server);
  command->callback([options, server, &common, &exit_code] {
    const bool loads = !server->server.empty() || !server->compare.empty();
    if (loads == !options->sources.empty())
      fail(ErrorCode::usage, "bench measures either models, SRC, or a server, --server URL");
    if (!loads) return bench(*options, common);
    bench_server(*server, options->prompt_tokens, options->new_tokens, common, exit_code);
  });
}

}  // namespace tenon::apps
