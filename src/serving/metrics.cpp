#include "serving/metrics.h"

#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "serving/batching/text_engine.h"
#include "serving/tensors/tensor_engine.h"

namespace tenon::serving {
namespace {

using Out = std::back_insert_iterator<std::string>;

struct Snapshot {
  std::string labels;  // model="...",version="1"
  std::string name;
  ModelStats::Values stats;
  std::optional<TextMetrics> text;
  std::optional<LatenessHistogram> lateness;  // of models that queue by time
};

std::vector<Snapshot> snapshots(const ModelRegistry& models) {
  std::vector<Snapshot> made;
  for (const auto& held : models.ready_models()) {
    const ModelInfo& info = held->info();  // names hold nothing that must be escaped
    Snapshot one{fmt::format("model=\"{}\",version=\"{}\"", info.name, info.version),
                 info.name,
                 held.stats->values(),
                 {},
                 {}};
    if (const auto* engine = dynamic_cast<const TextEngine*>(held->text())) {
      one.text = engine->metrics();
      one.lateness = one.text->lateness;
    }
    if (const auto* engine = dynamic_cast<const TensorEngine*>(held->tensors()))
      one.lateness = engine->lateness();
    made.push_back(std::move(one));
  }
  return made;
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(Out(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

template <typename Value>
void family(std::string& out, const std::vector<Snapshot>& models, std::string_view name,
            std::string_view type, std::string_view help, const Value& value) {
  head(out, name, type, help);
  for (const Snapshot& one : models)
    fmt::format_to(Out(out), "{}{{{}}} {}\n", name, one.labels, value(one));
}

void requests(std::string& out, const std::vector<Snapshot>& models) {
  family(out, models, "nv_inference_request_success", "counter", "Requests that succeeded",
         [](const Snapshot& one) { return one.stats.success.count; });
  constexpr const char* kFailure = "nv_inference_request_failure";
  head(out, kFailure, "counter", "Requests that failed, by reason");
  for (const Snapshot& one : models) {
    for (std::size_t i = 0; i < kFailureReasons.size(); ++i)
      fmt::format_to(Out(out), "{}{{{},reason=\"{}\"}} {}\n", kFailure, one.labels,
                     kFailureReasons[i], one.stats.failures[i]);
  }
  family(out, models, "nv_inference_count", "counter", "Inferences, each of a batch counted",
         [](const Snapshot& one) { return one.stats.inferences; });
  family(out, models, "nv_inference_exec_count", "counter", "Executions of the model",
         [](const Snapshot& one) { return one.text ? one.text->steps : one.stats.executions; });
  family(out, models, "nv_inference_pending_request_count", "gauge", "Requests not yet answered",
         [](const Snapshot& one) { return one.stats.pending; });
}

void durations(std::string& out, const std::vector<Snapshot>& models) {
  const auto us = [](const ModelStats::Duration& duration) { return duration.ns / 1000; };
  family(out, models, "nv_inference_request_duration_us", "counter",
         "Time from request to answer, summed",
         [&](const Snapshot& one) { return us(one.stats.success); });
  family(out, models, "nv_inference_queue_duration_us", "counter", "Time spent waiting, summed",
         [&](const Snapshot& one) {
           return one.text ? static_cast<std::uint64_t>(one.text->queue.sum_s * 1e6)
                           : us(one.stats.queue);
         });
  family(out, models, "nv_inference_compute_input_duration_us", "counter",
         "Time spent reading inputs, summed",
         [&](const Snapshot& one) { return us(one.stats.input); });
  family(out, models, "nv_inference_compute_infer_duration_us", "counter",
         "Time spent in the model, summed",
         [&](const Snapshot& one) { return us(one.stats.infer); });
  family(out, models, "nv_inference_compute_output_duration_us", "counter",
         "Time spent writing outputs, summed",
         [&](const Snapshot& one) { return us(one.stats.output); });
}

void histogram(std::string& out, const std::vector<Snapshot>& models, std::string_view name,
               std::string_view help, LatencyHistogram TextMetrics::*member, double unit,
               bool triton) {
  head(out, name, "histogram", help);
  for (const Snapshot& one : models) {
    if (!one.text) continue;
    const LatencyHistogram& values = (*one.text).*member;
    const std::string labels =
        triton ? one.labels : fmt::format("model_name=\"{}\",engine=\"0\"", one.name);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i + 1 < LatencyHistogram::kBuckets; ++i) {
      sum += values.counts[i];
      fmt::format_to(Out(out), "{}_bucket{{{},le=\"{}\"}} {}\n", name, labels,
                     LatencyHistogram::bound_s(i) * unit, sum);
    }
    fmt::format_to(Out(out), "{}_bucket{{{},le=\"+Inf\"}} {}\n{}_sum{{{}}} {}\n{}_count{{{}}} {}\n",
                   name, labels, values.count, name, labels, values.sum_s * unit, name, labels,
                   values.count);
  }
}

void lateness(std::string& out, const std::vector<Snapshot>& models) {
  constexpr const char* kName = "tenon_queue_timeout_lateness_seconds";
  head(out, kName, "histogram", "From the time a queued request was given to its refusal");
  for (const Snapshot& one : models) {
    if (!one.lateness) continue;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < LatenessHistogram::kBounds.size(); ++i) {
      sum += one.lateness->counts[i];
      fmt::format_to(Out(out), "{}_bucket{{{},le=\"{}\"}} {}\n", kName, one.labels,
                     LatenessHistogram::kBounds[i], sum);
    }
    fmt::format_to(Out(out), "{}_bucket{{{},le=\"+Inf\"}} {}\n{}_sum{{{}}} {}\n{}_count{{{}}} {}\n",
                   kName, one.labels, one.lateness->count, kName, one.labels, one.lateness->sum_s,
                   kName, one.labels, one.lateness->count);
  }
}

template <typename Value>
void text_family(std::string& out, const std::vector<Snapshot>& models, std::string_view name,
                 std::string_view type, std::string_view help, const Value& value) {
  head(out, name, type, help);
  for (const Snapshot& one : models) {
    if (one.text)
      fmt::format_to(Out(out), "{}{{model_name=\"{}\",engine=\"0\"}} {}\n", name, one.name,
                     value(*one.text));
  }
}

void text(std::string& out, const std::vector<Snapshot>& models) {
  using M = TextMetrics;
  text_family(out, models, "vllm:num_requests_running", "gauge", "Sequences in the batch",
              [](const M& m) { return m.running; });
  text_family(out, models, "vllm:num_requests_waiting", "gauge", "Sequences that wait",
              [](const M& m) { return m.waiting; });
  text_family(out, models, "vllm:kv_cache_usage_perc", "gauge", "Cache in use, 0 to 1",
              [](const M& m) { return m.cache_usage; });
  text_family(out, models, "vllm:num_preemptions_total", "counter", "Sequences put back",
              [](const M& m) { return m.preemptions; });
  text_family(out, models, "vllm:prompt_tokens_total", "counter", "Tokens of prompts",
              [](const M& m) { return m.prompt_tokens; });
  text_family(out, models, "vllm:generation_tokens_total", "counter", "Tokens generated",
              [](const M& m) { return m.generated_tokens; });
  text_family(out, models, "vllm:prefix_cache_queries_total", "counter", "Tokens looked up",
              [](const M& m) { return m.prompt_tokens; });
  text_family(out, models, "vllm:prefix_cache_hits_total", "counter", "Tokens found in the cache",
              [](const M& m) { return m.cached_tokens; });
  histogram(out, models, "vllm:time_to_first_token_seconds", "From request to first token",
            &M::first_token, 1, false);
  histogram(out, models, "vllm:inter_token_latency_seconds", "Between two tokens", &M::next_token,
            1, false);
  histogram(out, models, "vllm:request_queue_time_seconds", "From request to first step", &M::queue,
            1, false);
  histogram(out, models, "vllm:e2e_request_latency_seconds", "From request to the end", &M::whole,
            1, false);
  histogram(out, models, "nv_inference_first_response_histogram_ms", "From request to first token",
            &M::first_token, 1000, true);
}

void memory(std::string& out) {
  struct sysinfo info {};
  if (::sysinfo(&info) != 0) return;
  const std::uint64_t total = std::uint64_t{info.totalram} * info.mem_unit;
  head(out, "nv_cpu_memory_total_bytes", "gauge", "Memory of the machine");
  fmt::format_to(Out(out), "nv_cpu_memory_total_bytes {}\n", total);
  head(out, "nv_cpu_memory_used_bytes", "gauge", "Memory of the machine in use");
  fmt::format_to(Out(out), "nv_cpu_memory_used_bytes {}\n",
                 total - std::uint64_t{info.freeram} * info.mem_unit);
  std::uint64_t pages = 0, resident = 0;
  if (std::ifstream("/proc/self/statm") >> pages >> resident) {
    head(out, "process_resident_memory_bytes", "gauge", "Memory of this process");
    fmt::format_to(Out(out), "process_resident_memory_bytes {}\n",
                   resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  }
}

}  // namespace

std::string prometheus_text(const ModelRegistry& models) {
  const auto all = snapshots(models);
  std::string out;
  requests(out, all);
  durations(out, all);
  lateness(out, all);
  text(out, all);
  memory(out);
  return out;
}

void add_metrics_route(http::Router& router, std::shared_ptr<ModelRegistry> models) {
  router.add({"GET", "/metrics",
              [models](const std::shared_ptr<http::Exchange>& exchange) {
                exchange->respond({200, prometheus_text(*models), "text/plain; version=0.0.4", {}});
              },
              http::Access::keyed, http::Pace::quick});
}

}  // namespace tenon::serving
