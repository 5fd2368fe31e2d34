// tenon bench --server: load on a server that speaks OpenAI's API or KServe v2, and its numbers.
#include "commands/bench_server.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iterator>

#include <fmt/chrono.h>
#include <sys/utsname.h>

#include "base/atomic_file.h"
#include "base/cpu_features.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/mapped_file.h"
#include "base/progress.h"
#include "traffic/arrivals.h"
#include "traffic/probe.h"
#include "traffic/report.h"
#include "traffic/result.h"

namespace tenon::apps {
namespace {

using traffic::Summary;

constexpr std::size_t kMostRequests = 10'000'000;
constexpr std::int64_t kLeastRequests = 8;
constexpr std::size_t kMeasuredIndex = std::size_t{1} << 20;  // prompts before it warm up

/// One level of the sweep.
struct Step {
  Json load;  // {"concurrency": 4}
  traffic::Plan plan;
  double window_s = 0;
  std::string name;
};

std::string read_key(const std::string& path) {
  const std::string content = read_file(path);
  for (std::size_t begin = 0; begin < content.size();) {
    const auto end = std::min(content.find('\n', begin), content.size());
    std::string line = content.substr(begin, end - begin);
    begin = end + 1;
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    for (const char c : line)
      if (c <= ' ' || c > '~') bad_input("{}: a key holds a character no header can", path);
    return line;
  }
  bad_input("{}: holds no key", path);
}

// NAME:1,3,224
std::map<std::string, std::vector<std::int64_t>> parse_shapes(
    const std::vector<std::string>& texts) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const std::string& text : texts) {
    const auto colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0)
      fail(ErrorCode::usage, "--shape: '{}' is not NAME:1,3,224", text);
    std::vector<std::int64_t>& shape = shapes[text.substr(0, colon)];
    const char* at = text.data() + colon + 1;
    const char* const end = text.data() + text.size();
    while (at <= end) {
      std::int64_t size = 0;
      const auto [next, error] = std::from_chars(at, end, size);
      if (error != std::errc() || size < 1 || (next != end && *next != ','))
        fail(ErrorCode::usage, "--shape: '{}' is not NAME:1,3,224", text);
      shape.push_back(size);
      at = next + 1;
    }
  }
  return shapes;
}

traffic::Wanted wanted_of(const ServerBenchOptions& options, std::int64_t prompt_tokens,
                          std::int64_t new_tokens) {
  traffic::Wanted wanted;
  wanted.api = options.api;
  wanted.model = options.model;
  wanted.prompt_tokens = prompt_tokens;
  wanted.shared_prefix = options.shared_prefix;
  wanted.new_tokens = new_tokens;
  wanted.prompts_file = options.prompts;
  wanted.seed = options.seed;
  wanted.stream = options.stream;
  wanted.shapes = parse_shapes(options.shapes);
  wanted.data =
      options.input_data == "zero" ? traffic::TensorData::zero : traffic::TensorData::random;
  if (!options.extra.empty()) {
    wanted.extra = parse_json(options.extra, "--extra");
    if (!wanted.extra.is_object()) fail(ErrorCode::usage, "--extra: a JSON object was expected");
  }
  return wanted;
}

Step closed_step(const ServerBenchOptions& options, double level) {
  const auto users = static_cast<std::size_t>(level);
  if (static_cast<double>(users) != level || users < 1 || users > 16384)
    fail(ErrorCode::usage, "--concurrency: {} is no whole number from 1 to 16384", level);
  Step step;
  step.load = {{"concurrency", users}};
  step.name = fmt::format("concurrency {}", users);
  step.plan.users = users;
  step.plan.duration = options.duration;
  step.plan.requests = static_cast<std::size_t>(options.requests);
  if (options.requests == 0 && options.duration <= 0)
    step.plan.requests = std::max<std::size_t>(kLeastRequests, 2 * users);
  step.window_s = options.duration;
  return step;
}

Step open_step(const ServerBenchOptions& options, double rate) {
  Step step;
  step.load = {{"request_rate", rate}};
  step.name = fmt::format("{:g} requests/s", rate);
  const auto spacing = traffic::parse_spacing(options.arrivals);
  const auto most =
      options.requests > 0 ? static_cast<std::size_t>(options.requests)
      : options.duration > 0
          ? kMostRequests
          : std::max<std::size_t>(kLeastRequests, static_cast<std::size_t>(std::ceil(10 * rate)));
  step.plan.arrivals =
      options.duration > 0
          ? traffic::arrival_times_within(spacing, rate, options.duration, most, options.seed)
          : traffic::arrival_times(spacing, rate, most, options.seed);
  if (step.plan.arrivals.empty())
    fail(ErrorCode::usage, "no request falls within {} s at {} a second", options.duration, rate);
  return step;
}

std::vector<Step> steps_of(const ServerBenchOptions& options) {
  std::vector<Step> steps;
  if (!options.request_rate.empty() && !options.concurrency.empty())
    fail(ErrorCode::usage,
         "--concurrency is a closed loop and --request-rate an open one: one run "
         "has one of them");
  if (!options.request_rate.empty()) {
    for (const double rate : traffic::parse_levels(options.request_rate, "--request-rate"))
      steps.push_back(open_step(options, rate));
    return steps;
  }
  const std::string levels = options.concurrency.empty() ? "1" : options.concurrency;
  for (const double level : traffic::parse_levels(levels, "--concurrency"))
    steps.push_back(closed_step(options, level));
  return steps;
}

/// Work is counted in thousandths of a level.
class Sweep {
 public:
  Sweep(traffic::HttpClient& client, const traffic::Target& target, std::size_t levels)
      : client_(client), target_(target), progress_("measuring", levels * 1000) {}

  void warm_up(const Step& step, std::int64_t requests) {
    if (requests == 0) return;
    traffic::Plan plan;
    plan.requests = static_cast<std::size_t>(requests);
    plan.users = std::min(plan.requests, step.plan.users);
    plan.first_index = warm_index_;
    warm_index_ += plan.requests;
    traffic::run_load(client_, *target_.api, plan,
                      [](double, std::size_t) { return !interrupted(); });
  }

  traffic::Level measure(const Step& step) {
    traffic::Plan plan = step.plan;
    plan.first_index = index_;
    const auto all =
        static_cast<double>(plan.arrivals.empty() ? plan.requests : plan.arrivals.size());
    std::uint64_t told = 0;
    auto level =
        traffic::run_load(client_, *target_.api, plan, [&](double seconds, std::size_t answered) {
          const double by_count = all > 0 ? static_cast<double>(answered) / all : 0;
          const double by_time = plan.duration > 0 ? seconds / plan.duration : 0;
          const auto now =
              static_cast<std::uint64_t>(999 * std::min(1.0, std::max(by_count, by_time)));
          return advance(now > told ? now - std::exchange(told, now) : 0);
        });
    advance(1000 - told);
    index_ += level.records.size();
    return level;
  }

 private:
  // Ctrl-C ends the level, and what was measured so far is told.
  bool advance(std::uint64_t amount) {
    if (interrupted()) return false;
    try {
      progress_.advance(amount);
    } catch (const Error&) {
      return false;
    }
    return true;
  }

  traffic::HttpClient& client_;
  const traffic::Target& target_;
  Progress progress_;
  std::size_t warm_index_ = 0;
  std::size_t index_ = kMeasuredIndex;
};

Json machine_json() {
  utsname system{};
  ::uname(&system);
  const CpuInfo cpu = cpu_info();
  return {{"host", system.nodename},
          {"system", fmt::format("{} {}", system.sysname, system.release)},
          {"cpu", cpu.model},
          {"cores", cpu.cores},
          {"memory_bytes", cpu.memory_bytes}};
}

std::string command_line() {
  std::string line;
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string raw(std::istreambuf_iterator<char>(file), {});
  for (std::size_t begin = 0; begin < raw.size();) {
    const auto end = std::min(raw.find('\0', begin), raw.size());
    std::string word = raw.substr(begin, end - begin);
    begin = end + 1;
    if (word.empty() || word.find_first_of(" \"'{}$&|;<>()*?#\\\t\n") != std::string::npos) {
      std::string quoted = "'";
      for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
      word = quoted + "'";
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return line;
}

Json settings_json(const ServerBenchOptions& options, std::int64_t prompt_tokens,
                   std::int64_t new_tokens) {
  return {{"prompt_tokens", prompt_tokens},
          {"new_tokens", new_tokens},
          {"shared_prefix", options.shared_prefix},
          {"prompts", options.prompts},
          {"duration_s", options.duration},
          {"requests", options.requests},
          {"warmup", options.warmup},
          {"seed", options.seed},
          {"arrivals", options.request_rate.empty() ? "closed loop" : options.arrivals},
          {"stream", options.stream},
          {"stability_percent", options.stability},
          {"timeout_s", options.timeout},
          {"extra", options.extra}};
}

void add_notes(std::vector<std::string>& notes, const Step& step, const Summary& summary,
               const traffic::Level& level, const traffic::Api& api, std::int64_t new_tokens,
               double tolerance) {
  const auto note = [&](std::string text) { notes.push_back(step.name + ": " + std::move(text)); };
  if (summary.completed == 0) return;
  if (api.counts_tokens()) {
    if (!summary.usage_told)
      note("the server tells no usage: each piece of a stream counts as one token");
    else if (summary.pieces > 0 && summary.pieces != summary.output_tokens)
      note(
          fmt::format("{} tokens by usage came in {} pieces: itl is between pieces, tpot per token",
                      summary.output_tokens, summary.pieces));
    if (summary.tokens.min < static_cast<double>(new_tokens) && summary.usage_told)
      note(fmt::format("some answers have fewer than {} tokens: the shortest {:.0f}", new_tokens,
                       summary.tokens.min));
  }
  if (summary.steadiness.told && !summary.steadiness.steady)
    note(
        fmt::format("unsteady: windows depart by up to {:.0f} % from their mean (more than {:g} %)",
                    100 * summary.steadiness.largest, tolerance));
  if (level.latest_send > 0.05)
    note(fmt::format("this client sent up to {:.0f} ms late: it cannot hold the rate",
                     level.latest_send * 1e3));
}

std::string cell(const traffic::Distribution& values, double share, int width) {
  if (values.count == 0) return fmt::format("{:>{}}", "-", width);
  return fmt::format("{:>{}.{}f}", share * 1e3, width, share < 0.1 ? 1 : 0);
}

void print_head(const Json& result) {
  const Json& server = result.at("server");
  fmt::print("{} model {} as {}\n", server.at("url").get<std::string>(),
             server.at("model").get<std::string>(), server.at("api").get<std::string>());
  fmt::print("{:>16} {:>9} {:>7} {:>9} {:>9} | {:>17} | {:>15} | {:>17} | {}\n", "", "answered",
             "failed", "req/s", "tok/s", "ttft p50/p99 ms", "tpot p50/p99", "e2e p50/p99 ms",
             "good/s");
}

void print_row(const Step& step, const Summary& s, const traffic::Goodput& goodput) {
  fmt::print("{:>16} {:>9} {:>7} {:>9.3g} {:>9.1f} | {} {} | {} {} | {} {} | {}\n", step.name,
             s.completed, s.failed, s.requests_per_s, s.output_tokens_per_s,
             cell(s.ttft, s.ttft.p50, 8), cell(s.ttft, s.ttft.p99, 8), cell(s.tpot, s.tpot.p50, 7),
             cell(s.tpot, s.tpot.p99, 7), cell(s.e2e, s.e2e.p50, 8), cell(s.e2e, s.e2e.p99, 8),
             goodput.any() ? fmt::format("{:.3g} ({:.0f} %)", s.good_per_s, 100 * s.good_share)
                           : std::string("-"));
  for (const auto& [kind, count] : s.errors)
    fmt::print("{:>16}   {} x {}: {}\n", "", count, kind, s.examples.at(kind));
  std::fflush(stdout);
}

traffic::HttpOptions http_options(const ServerBenchOptions& options) {
  traffic::HttpOptions made;
  made.request_time = std::chrono::milliseconds(std::llround(options.timeout * 1e3));
  made.authorities = options.authorities;
  made.check_certificate = !options.insecure;
  if (!options.api_key_file.empty()) made.key = read_key(options.api_key_file);
  return made;
}

Json measure(const ServerBenchOptions& options, std::int64_t prompt_tokens, std::int64_t new_tokens,
             const Common& common, int& exit_code) {
  const auto goodput = traffic::parse_goodput(options.goodput);
  const auto steps = steps_of(options);
  const auto wanted = wanted_of(options, prompt_tokens, new_tokens);
  traffic::HttpClient client(traffic::parse_url(options.server), http_options(options));
  traffic::Target target = traffic::find_target(client, wanted);
  const std::string label = options.label.empty()
                                ? fmt::format("{} at {}", target.model, client.url().authority())
                                : options.label;
  Json result = {{"kind", "tenon bench --server"},
                 {"label", label},
                 {"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
                 {"command", command_line()},
                 {"machine", machine_json()},
                 {"server",
                  {{"url", client.url().text()},
                   {"api", target.api->name()},
                   {"model", target.model},
                   {"name", target.server},
                   {"facts", target.facts}}},
                 {"settings", settings_json(options, prompt_tokens, new_tokens)},
                 {"levels", Json::array()}};
  if (!common.json) print_head(result);
  std::size_t completed = 0;
  {
    Sweep sweep(client, target, steps.size());
    for (const Step& step : steps) {
      if (interrupted()) break;
      sweep.warm_up(step, options.warmup);
      if (interrupted()) break;
      const auto level = sweep.measure(step);
      const auto summary =
          traffic::summarize(level, goodput, step.window_s, options.stability / 100);
      completed += summary.completed;
      result["levels"].push_back(traffic::level_json(step.load, level, summary, goodput));
      add_notes(target.notes, step, summary, level, *target.api, new_tokens, options.stability);
      if (!common.json) print_row(step, summary, goodput);
    }
  }
  result["notes"] = target.notes;
  result["interrupted"] = interrupted();
  if (!common.json)
    for (const std::string& note : target.notes) fmt::print("note: {}\n", note);
  exit_code = interrupted() ? tenon::exit_code(ErrorCode::interrupted) : completed == 0 ? 1 : 0;
  return result;
}

}  // namespace

void add_server_options(CLI::App& command, ServerBenchOptions& options) {
  const char* group = "Load on a server";
  const auto add = [&](const char* name, auto& value, const char* what) {
    return command.add_option(name, value, what)->group(group);
  };
  add("--server", options.server,
      "measure a server instead of a model: http[s]://host:port of OpenAI's API or KServe v2");
  add("--api", options.api,
      "openai-chat, openai (completions), images, kserve (infer), kserve-generate or auto")
      ->capture_default_str();
  add("--model", options.model, "its name (default: the only one, or the first)");
  add("--concurrency", options.concurrency,
      "users that ask without a pause: 1,4,16 or first:last:step (default 1)");
  add("--request-rate", options.request_rate,
      "requests a second instead, whatever is under way: a list or a range");
  add("--arrivals", options.arrivals, "of --request-rate: poisson or constant")
      ->capture_default_str();
  add("--duration", options.duration, "seconds in which requests are sent, for each level")
      ->check(CLI::Range(0.0, 86400.0));
  add("--requests", options.requests,
      "requests of each level (default: twice the users, at least 8; of a rate: of ten seconds)")
      ->check(CLI::Range(std::int64_t{0}, static_cast<std::int64_t>(kMostRequests)));
  add("--warmup", options.warmup, "requests before each level that do not count")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  add("--shared-prefix", options.shared_prefix,
      "tokens that all prompts begin with (default 0: each differs from its first word)")
      ->check(CLI::Range(0, 1 << 20));
  add("--prompts", options.prompts, "file of prompts, one a line, instead of synthetic text");
  add("--goodput", options.goodput, "what a good answer keeps, in ms: ttft:500,itl:50,e2e:5000");
  add("--seed", options.seed, "of arrivals, prompts and tensors")->capture_default_str();
  add("--api-key-file", options.api_key_file, "file whose first line is the key to send");
  add("--ca-file", options.authorities, "PEM file of certificates to trust");
  command.add_flag("--insecure", options.insecure, "trust any certificate")->group(group);
  command.add_flag("!--no-stream", options.stream, "ask for answers in one piece")->group(group);
  add("--timeout", options.timeout, "seconds for one request")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  add("--stability", options.stability,
      "percent by which windows of a level may depart from their mean before it is unsteady")
      ->check(CLI::Range(0.1, 1000.0))
      ->capture_default_str();
  add("--extra", options.extra, "JSON object merged into each request: '{\"steps\": 4}'");
  add("--input-data", options.input_data, "of tensors: random or zero")
      ->check(CLI::IsMember({"random", "zero"}))
      ->capture_default_str();
  add("--shape", options.shapes, "sizes of an input that vary: NAME:1,3,224 (default: 1 each)");
  add("--label", options.label, "name of this run in a report");
  add("--report", options.report, "write the results as a page, HTML");
  add("--compare", options.compare,
      "results of --json of earlier runs that stand beside this one in the report; without "
      "--server the report is of them alone");
}

void bench_server(const ServerBenchOptions& options, std::int64_t prompt_tokens,
                  std::int64_t new_tokens, const Common& common, int& exit_code) {
  if (options.server.empty() && options.report.empty())
    fail(ErrorCode::usage, "--compare needs --report FILE.html to write to");
  std::vector<Json> results;
  for (const std::string& path : options.compare) {
    results.push_back(read_json(path));
    traffic::check_result(results.back(), path);
  }
  if (!options.server.empty()) {
    results.insert(results.begin(), measure(options, prompt_tokens, new_tokens, common, exit_code));
    if (common.json) print_json(results.front());
  }
  if (!options.report.empty()) write_file(options.report, traffic::to_html(results));
}

}  // namespace tenon::apps
