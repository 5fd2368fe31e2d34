// tenon serve: models over HTTP, as KServe v2, as OpenAI's API, and their numbers for Prometheus.
#include <csignal>
#include <cstdio>
#include <future>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "commands/commands.h"
#include "serve_edge.h"
#include "serve_export.h"
#include "serve_models.h"
#include "serving/grpc/server.h"
#include "serving/heap_keeper.h"
#include "serving/http/server.h"
#include "serving/kserve/kserve.h"
#include "serving/metrics.h"
#include "serving/openai/openai.h"
#include "serving/playground/playground.h"

namespace tenon::apps {
namespace {

namespace http = serving::http;

struct Options {
  ModelFlags models;
  TritonFlags triton;
  std::string host = "127.0.0.1";
  int http_port = 8000;
  int grpc_port = 8001;
  int openai_port = 9000;
  int metrics_port = 8002;
  std::string api_key_file, certificate, private_key;
  std::int64_t max_body_mb = 64;
  std::int64_t request_timeout = 600;
  std::int64_t drain_timeout = 30;
  EdgeFlags edge;
};

// The first signal ends the server in order, and not what it computes; a second one at once.
volatile std::sig_atomic_t g_stop = 0;

extern "C" void on_stop(int signal) {
  if (g_stop != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  g_stop = 1;
}

void catch_stop() {
  struct sigaction action {};
  action.sa_handler = on_stop;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

http::Options http_options(const Options& options, const Edge& edge) {
  http::Options made;
  made.limits.body_bytes = static_cast<std::uint64_t>(options.max_body_mb) << 20;
  if (!options.api_key_file.empty())
    made.keys = std::make_shared<http::ApiKeys>(http::ApiKeys::read(options.api_key_file));
  if (options.certificate.empty() != options.private_key.empty())
    fail(ErrorCode::usage, "--tls-certificate and --tls-key belong together");
  made.certificate = options.certificate;
  made.private_key = options.private_key;
  made.on_access = edge.on_access();
  made.traces = edge.traces;
  return made;
}

struct Ports {
  std::uint16_t http, openai, metrics;
};

// Each protocol has its own words for an error, also at a path where nothing stands.
std::string error_body(int status, const std::string& message, const std::string& path) {
  return path.starts_with("/v1") ? serving::openai::error_body(status, message)
                                 : serving::kserve::error_body(status, message);
}

Ports listen(http::Server& server, const Options& options,
             const serving::kserve::Context& context) {
  const auto all = std::make_shared<http::Router>();
  serving::openai::add_routes(*all, {context.models, context.ready, context.patience});
  serving::kserve::add_routes(*all, context);
  serving::add_metrics_route(*all, context.models);
  serving::playground::add_routes(*all);
  const auto metrics = std::make_shared<http::Router>();
  serving::add_metrics_route(*metrics, context.models);
  const auto open = [&](int port, const auto& router) {
    return server.listen({options.host, static_cast<std::uint16_t>(port), router, error_body});
  };
  return {open(options.http_port, all), open(options.openai_port, all),
          open(options.metrics_port, metrics)};
}

serving::grpc::Options grpc_options(const Options& options, const http::Options& http) {
  serving::grpc::Options made;
  made.host = options.host;
  made.port = static_cast<std::uint16_t>(options.grpc_port);
  made.limits.message_bytes = http.limits.body_bytes;
  made.gate = {http.keys, http.on_access, http.traces};
  made.certificate = http.certificate;
  made.private_key = http.private_key;
  return made;
}

void write_for_triton(const Options& options, const Common& common) {
  const Json written = export_triton(options.models.sources, options.triton);
  if (common.json) return print_json(written);
  fmt::print(stderr, "{}: {} models for Triton\n", options.triton.folder, written["models"].size());
}

void serve(const Options& options, const Common& common) {
  if (!options.triton.folder.empty()) return write_for_triton(options, common);
  const serving::HeapKeeper heap;
  const Edge edge(options.edge, common.log);
  std::optional<serving::grpc::Server> grpc;  // its workers outlive the models
  ModelsToServe models(options.models, common.threads);
  const http::Options settings = http_options(options, edge);
  http::Server server(settings);
  const serving::kserve::Context context{models.registry(),
                                         [] { return g_stop == 0; },
                                         std::chrono::seconds(options.request_timeout),
                                         edge.shared_memory,
                                         edge.traces,
                                         edge.logs};
  const Ports ports = listen(server, options, context);
  grpc.emplace(grpc_options(options, settings), context);
  if (common.json) {
    print_json({{"http_port", ports.http},
                {"grpc_port", grpc->port()},
                {"openai_port", ports.openai},
                {"metrics_port", ports.metrics}});
  } else {
    fmt::print(stderr,
               "KServe v2 at {0}:{1}, gRPC at {0}:{2}, OpenAI at {0}:{3}/v1, metrics at {0}:{4}\n",
               options.host, ports.http, grpc->port(), ports.openai, ports.metrics);
  }
  models.load(common.json);
  catch_stop();
  while (g_stop == 0 && !interrupted()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  models.stop();
  const std::chrono::seconds patience(options.drain_timeout);
  const auto drained = std::async(std::launch::async, [&] { grpc->drain(patience); });
  const std::size_t lost = server.drain(patience);
  drained.wait();
  if (lost > 0)
    fail(ErrorCode::resource, "{} connections were cut off after {} s", lost,
         options.drain_timeout);
}

}  // namespace

void add_serve(CLI::App& program, Common& common, int&) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      add_subcommand(program, common, "serve", "answer over HTTP: KServe v2 and OpenAI's API",
                     "tenon serve llama2.tenon pictures=sd21.tenon --api-key-file keys.txt");
  const auto port = [&](const char* name, int& value, const char* what) {
    command->add_option(name, value, what)->check(CLI::Range(0, 65535))->capture_default_str();
  };
  add_model_flags(*command, options->models);
  add_triton_flags(*command, options->triton);
  command->add_option("--host", options->host, "address to listen at")->capture_default_str();
  port("--http-port", options->http_port, "of KServe v2; 0: any");
  port("--grpc-port", options->grpc_port, "of KServe v2 over gRPC; 0: any");
  port("--openai-port", options->openai_port, "of OpenAI's API");
  port("--metrics-port", options->metrics_port, "of /metrics");
  command->add_option("--api-key-file", options->api_key_file,
                      "file with one key a line; without it everybody may ask");
  command->add_option("--tls-certificate", options->certificate, "PEM file: serve over TLS");
  command->add_option("--tls-key", options->private_key, "PEM file of its private key");
  command->add_option("--max-body-mb", options->max_body_mb, "longest request")
      ->check(CLI::Range(1, 4096));
  command->add_option("--request-timeout", options->request_timeout, "seconds for one request")
      ->check(CLI::Range(1, 86400));
  command
      ->add_option("--drain-timeout", options->drain_timeout,
                   "seconds for answers under way after a signal to end")
      ->check(CLI::Range(0, 86400));
  add_edge_flags(*command, options->edge);
  command->callback([options, &common] { serve(*options, common); });
}

}  // namespace tenon::apps
