#include "traffic/result.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "base/error.h"

namespace tenon::traffic {
namespace {

constexpr std::size_t kEcdfPoints = 120;
constexpr std::size_t kTimelineRequests = 400;

// Six digits, as a person would write them.
double rounded(double value) {
  return std::isfinite(value) ? std::stod(fmt::format("{:.6g}", value)) : 0.0;
}

Json timeline(const std::vector<Record>& records) {
  Json rows = Json::array();
  const std::size_t step = (records.size() + kTimelineRequests - 1) / kTimelineRequests;
  for (std::size_t i = 0; i < records.size(); i += std::max<std::size_t>(1, step)) {
    const Record& one = records[i];
    const Json first = one.first < 0 ? Json() : Json(rounded(one.first));
    rows.push_back({rounded(one.due), first, rounded(one.end), failure_name(one.failure)});
  }
  return rows;
}

Json ecdfs(const std::vector<Record>& records) {
  std::vector<double> ttft, itl, e2e;
  for (const Record& one : records) {
    if (!one.ok()) continue;
    e2e.push_back(one.latency());
    if (one.first >= 0) ttft.push_back(one.time_to_first());
    for (std::size_t i = 1; i < one.pieces.size(); ++i)
      itl.push_back(one.pieces[i] - one.pieces[i - 1]);
  }
  return {{"ttft_ms", ecdf_json(std::move(ttft), 1e3, kEcdfPoints)},
          {"itl_ms", ecdf_json(std::move(itl), 1e3, kEcdfPoints)},
          {"e2e_ms", ecdf_json(std::move(e2e), 1e3, kEcdfPoints)}};
}

Json stability(const Steadiness& found) {
  Json latency = Json::array();
  for (const double seconds : found.latency_s) latency.push_back(rounded(seconds * 1e3));
  Json rates = Json::array();
  for (const double rate : found.per_s) rates.push_back(rounded(rate));
  return {{"told", found.told},
          {"steady", found.told ? Json(found.steady) : Json()},
          {"largest_departure", rounded(found.largest)},
          {"windows_per_s", rates},
          {"windows_e2e_ms", latency}};
}

Json goodput_json(const Goodput& goodput, const Summary& summary) {
  if (!goodput.any()) return nullptr;
  Json made = {{"per_s", rounded(summary.good_per_s)}, {"share", rounded(summary.good_share)}};
  if (goodput.ttft_ms) made["ttft_ms"] = *goodput.ttft_ms;
  if (goodput.itl_ms) made["itl_ms"] = *goodput.itl_ms;
  if (goodput.e2e_ms) made["e2e_ms"] = *goodput.e2e_ms;
  return made;
}

}  // namespace

Json to_json(const Distribution& d, double scale) {
  if (d.count == 0) return nullptr;
  return {{"count", d.count},
          {"mean", rounded(d.mean * scale)},
          {"stddev", rounded(d.stddev * scale)},
          {"min", rounded(d.min * scale)},
          {"p50", rounded(d.p50 * scale)},
          {"p90", rounded(d.p90 * scale)},
          {"p95", rounded(d.p95 * scale)},
          {"p99", rounded(d.p99 * scale)},
          {"max", rounded(d.max * scale)}};
}

Json ecdf_json(std::vector<double> values, double scale, std::size_t most) {
  Json points = Json::array();
  if (values.empty()) return points;
  std::sort(values.begin(), values.end());
  const std::size_t count = std::min(most, values.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = count == 1 ? values.size() - 1 : i * (values.size() - 1) / (count - 1);
    points.push_back({rounded(values[at] * scale),
                      rounded(static_cast<double>(at + 1) / static_cast<double>(values.size()))});
  }
  return points;
}

Json level_json(const Json& load, const Level& level, const Summary& summary,
                const Goodput& goodput) {
  Json errors = Json::object();
  for (const auto& [kind, count] : summary.errors)
    errors[kind] = {{"count", count}, {"example", summary.examples.at(kind)}};
  Json made = load;
  made.update({{"sent", summary.sent},
               {"completed", summary.completed},
               {"failed", summary.failed},
               {"cancelled", summary.cancelled},
               {"errors", errors},
               {"seconds", rounded(level.seconds)},
               {"window_s", rounded(summary.window_s)},
               {"full_load_s", rounded(level.full_until)},
               {"requests_per_s", rounded(summary.requests_per_s)},
               {"output_tokens_per_s", rounded(summary.output_tokens_per_s)},
               {"output_tokens_per_s_full_load", rounded(summary.full_tokens_per_s)},
               {"prompt_tokens_per_s", rounded(summary.prompt_tokens_per_s)},
               {"output_tokens", summary.output_tokens},
               {"pieces", summary.pieces},
               {"tokens_counted_by", summary.usage_told ? "usage" : "pieces"},
               {"prompt_tokens", summary.prompt_tokens},
               {"answer_bytes", summary.answer_bytes},
               {"ttft_ms", to_json(summary.ttft, 1e3)},
               {"itl_ms", to_json(summary.itl, 1e3)},
               {"tpot_ms", to_json(summary.tpot, 1e3)},
               {"e2e_ms", to_json(summary.e2e, 1e3)},
               {"tokens_per_request", to_json(summary.tokens, 1)},
               {"prompt_tokens_per_request", to_json(summary.prompt, 1)},
               {"goodput", goodput_json(goodput, summary)},
               {"stability", stability(summary.steadiness)},
               {"latest_send_ms", rounded(level.latest_send * 1e3)},
               {"stopped", level.stopped},
               {"ecdf", ecdfs(level.records)},
               {"timeline", timeline(level.records)}});
  return made;
}

void check_result(const Json& result, std::string_view where) {
  const Json* levels = find_field(result, "levels");
  const Json* server = find_field(result, "server");
  if (levels == nullptr || !levels->is_array() || server == nullptr || !server->is_object())
    bad_input("{}: is no result of `tenon bench --server --json`", where);
  for (const char* name : {"machine", "settings"})
    if (const Json* field = find_field(result, name); field != nullptr && !field->is_object())
      bad_input("{}: \"{}\" is no object", where, name);
  get_bool(result, "interrupted", false);
  for (const Json& level : *levels)
    if (!level.is_object() || !level.contains("e2e_ms") || !level.contains("completed"))
      bad_input("{}: a level lacks \"e2e_ms\" or \"completed\"", where);
}

}  // namespace tenon::traffic
