// The report as one JSON object.
#include <cmath>

#include "verify/report.h"

namespace tenon::verify {
namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json optional_number(const std::optional<double>& value) {
  return value ? number(*value) : Json(nullptr);
}

Json metrics_json(const Metrics& metrics) {
  return {{"max_abs", number(metrics.max_abs)},
          {"mean_abs", number(metrics.mean_abs)},
          {"relative_l2", number(metrics.relative_l2)},
          {"mean_kl", number(metrics.mean_kl)},
          {"max_kl", number(metrics.max_kl)},
          {"top1_agreement", metrics.top1_agreement},
          {"top1_disagreements", metrics.top1_disagreements},
          {"perplexity_a", number(metrics.perplexity_a)},
          {"perplexity_b", number(metrics.perplexity_b)},
          {"positions", metrics.positions},
          {"first_diverging_prompt", metrics.first_diverging_prompt},
          {"first_diverging_position", metrics.first_diverging_position},
          {"finite", metrics.finite}};
}

Json budget_json(const Budget& budget) {
  return {{"mean_kl", optional_number(budget.mean_kl)},
          {"max_kl", optional_number(budget.max_kl)},
          {"top1_agreement", optional_number(budget.top1)},
          {"max_abs", optional_number(budget.max_abs)},
          {"relative_l2", optional_number(budget.relative_l2)},
          {"perplexity_change", optional_number(budget.perplexity)},
          {"psnr", optional_number(budget.psnr)}};
}

Json departure_json(const Departure& departure) {
  return {{"value", departure.value},
          {"module", departure.module},
          {"op", departure.op},
          {"dtype", departure.dtype},
          {"max_abs", number(departure.max_abs)},
          {"reason", departure.reason},
          {"cause", departure.cause},
          {"max_difference", number(departure.max_difference)},
          {"relative", number(departure.relative)},
          {"allowed", number(departure.allowed)},
          {"where", departure.where}};
}

Json prompts_json(const std::vector<PromptMetrics>& prompts) {
  Json list = Json::array();
  for (const PromptMetrics& prompt : prompts) {
    list.push_back({{"tokens", prompt.tokens},
                    {"max_abs", number(prompt.max_abs)},
                    {"mean_kl", number(prompt.mean_kl)},
                    {"worst_position", prompt.worst_position},
                    {"top1_disagreements", prompt.top1_disagreements},
                    {"finite", prompt.finite}});
  }
  return list;
}

Json values_json(const std::vector<ValueError>& values) {
  Json list = Json::array();
  for (const ValueError& error : values) {
    list.push_back({{"value", error.value},
                    {"module", error.module},
                    {"op", error.op},
                    {"dtype", error.dtype},
                    {"relative", number(error.relative)},
                    {"explained", number(error.explained)},
                    {"peak", number(error.peak)},
                    {"max_abs", number(error.max_abs)},
                    {"max_difference", number(error.max_difference)},
                    {"not_finite", error.not_finite + error.nan_in_both}});
  }
  return list;
}

Json outputs_json(const std::vector<OutputError>& outputs) {
  Json list = Json::array();
  for (const OutputError& error : outputs) {
    list.push_back({{"output", error.output},
                    {"shape", error.shape},
                    {"max_abs", number(error.max_abs)},
                    {"mean_abs", number(error.mean_abs)},
                    {"relative", number(error.relative)},
                    {"psnr", optional_number(error.psnr)},
                    {"finite", error.finite},
                    {"worst_run", error.worst_run}});
  }
  return list;
}

Json parts_json(const std::vector<Report>& parts) {
  Json list = Json::array();
  for (const Report& part : parts) list.push_back(to_json(part));
  return list;
}

}  // namespace

Json to_json(const Report& report) {
  if (!report.parts.empty()) {
    return {{"passed", report.passed},
            {"parts", parts_json(report.parts)},
            {"metrics", metrics_json(report.metrics)},
            {"first_departure",
             report.first_departure ? departure_json(*report.first_departure) : Json(nullptr)},
            {"violations", report.violations},
            {"a", {{"name", report.name_a}, {"precision", report.precision_a}}},
            {"b", {{"name", report.name_b}, {"precision", report.precision_b}}},
            {"notes", report.notes}};
  }
  return {{"passed", report.passed},
          {"part", report.part},
          {"outputs", outputs_json(report.outputs)},
          {"runs", report.runs},
          {"metrics", metrics_json(report.metrics)},
          {"first_departure",
           report.first_departure ? departure_json(*report.first_departure) : Json(nullptr)},
          {"budget", budget_json(report.budget)},
          {"violations", report.violations},
          {"a", {{"name", report.name_a}, {"precision", report.precision_a}}},
          {"b", {{"name", report.name_b}, {"precision", report.precision_b}}},
          {"prompts", prompts_json(report.prompts)},
          {"values", values_json(report.values)},
          {"traced_prompt", report.traced_prompt},
          {"traced_tokens", report.traced_tokens},
          {"notes", report.notes},
          {"timings",
           {{"a_s", report.seconds_a},
            {"b_s", report.seconds_b},
            {"diagnosis_s", report.seconds_diagnosis}}}};
}

}  // namespace tenon::verify
