// What `tenon bench --server` is told: a server, a load, what to write.
#pragma once

#include <string>
#include <vector>

#include "command.h"

namespace tenon::apps {

struct ServerBenchOptions {
  std::string server;  ///< empty: no server is measured
  std::string api = "auto";
  std::string model;
  std::string concurrency;
  std::string request_rate;
  std::string arrivals = "poisson";
  std::int64_t shared_prefix = 0;
  std::string prompts;
  double duration = 0;
  std::int64_t requests = 0;
  std::int64_t warmup = 2;
  std::string goodput;
  std::uint64_t seed = 0;
  std::string api_key_file;
  std::string authorities;
  bool insecure = false;
  bool stream = true;
  double timeout = 600;
  double stability = 10;
  std::string extra;
  std::string input_data = "random";
  std::vector<std::string> shapes;
  std::string label;
  std::string report;
  std::vector<std::string> compare;
};

void add_server_options(CLI::App& command, ServerBenchOptions& options);

/// Measures `options.server`, or only joins earlier results in a report. Prompt and new tokens are
/// those of `tenon bench`. Sets `exit_code` to 1 when no request was answered, 130 after Ctrl-C.
void bench_server(const ServerBenchOptions& options, std::int64_t prompt_tokens,
                  std::int64_t new_tokens, const Common& common, int& exit_code);

}  // namespace tenon::apps
