#include "traffic/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/core.h>

#include "base/error.h"

namespace tenon::traffic {
namespace {

constexpr std::size_t kWindows = 3;

// Tokens of a record that arrived before `end`: the server's count spread over the pieces.
double tokens_until(const Record& record, double end) {
  if (record.pieces.empty()) return record.end <= end ? static_cast<double>(record.tokens()) : 0.0;
  const auto arrived = std::upper_bound(record.pieces.begin(), record.pieces.end(), end);
  return static_cast<double>(record.tokens()) *
         static_cast<double>(arrived - record.pieces.begin()) /
         static_cast<double>(record.pieces.size());
}

double tokens_between(std::span<const Record> records, double begin, double end) {
  double sum = 0;
  for (const Record& record : records)
    if (record.ok()) sum += tokens_until(record, end) - tokens_until(record, begin);
  return sum;
}

std::size_t answers_between(std::span<const Record> records, double begin, double end) {
  return static_cast<std::size_t>(std::count_if(
      records.begin(), records.end(),
      [&](const Record& one) { return one.ok() && one.end > begin && one.end <= end; }));
}

double median_latency(std::span<const Record> records, double begin, double end) {
  std::vector<double> values;
  for (const Record& one : records)
    if (one.ok() && one.end > begin && one.end <= end) values.push_back(one.latency());
  return distribution_of(std::move(values)).p50;
}

double largest_departure(std::span<const double> values) {
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double largest = 0;
  for (const double value : values)
    largest = std::max(largest, mean > 0 ? std::abs(value / mean - 1) : 0.0);
  return largest;
}

Steadiness steadiness_of(const Level& level, bool by_tokens, double tolerance) {
  Steadiness found;
  found.told = true;
  const double width = level.full_until / kWindows;
  if (!(width > 0)) return {};
  for (std::size_t i = 0; i < kWindows; ++i) {
    const double begin = width * static_cast<double>(i);
    const double end = begin + width;
    const std::size_t answers = answers_between(level.records, begin, end);
    found.told = found.told && answers >= kWindowAnswers;
    found.per_s.push_back(
        (by_tokens ? tokens_between(level.records, begin, end) : static_cast<double>(answers)) /
        width);
    found.latency_s.push_back(median_latency(level.records, begin, end));
  }
  found.largest = std::max(largest_departure(found.per_s), largest_departure(found.latency_s));
  found.steady = found.largest <= tolerance;
  return found;
}

std::string kind_of(const Record& record) {
  if (record.failure == Failure::status) return fmt::format("status {}", record.status);
  return std::string(failure_name(record.failure));
}

struct Values {
  std::vector<double> ttft, itl, tpot, e2e, tokens, prompt;

  void add(const Record& record) {
    e2e.push_back(record.latency());
    if (record.first >= 0) ttft.push_back(record.time_to_first());
    for (std::size_t i = 1; i < record.pieces.size(); ++i)
      itl.push_back(record.pieces[i] - record.pieces[i - 1]);
    if (record.time_per_token() >= 0) tpot.push_back(record.time_per_token());
    tokens.push_back(static_cast<double>(record.tokens()));
    if (record.prompt_tokens >= 0) prompt.push_back(static_cast<double>(record.prompt_tokens));
  }
};

}  // namespace

double quantile(std::span<const double> sorted, double share) {
  if (sorted.empty()) return 0;
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - static_cast<double>(low));
}

Distribution distribution_of(std::vector<double> values) {
  Distribution found;
  found.count = values.size();
  if (values.empty()) return found;
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  found.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - found.mean) * (value - found.mean);
  found.stddev = std::sqrt(squares / count);
  found.min = values.front();
  found.p50 = quantile(values, 0.5);
  found.p90 = quantile(values, 0.9);
  found.p95 = quantile(values, 0.95);
  found.p99 = quantile(values, 0.99);
  found.max = values.back();
  return found;
}

bool Goodput::met_by(const Record& record) const noexcept {
  if (!record.ok()) return false;
  if (ttft_ms && (record.first < 0 || record.time_to_first() * 1e3 > *ttft_ms)) return false;
  if (itl_ms && record.time_per_token() * 1e3 > *itl_ms) return false;
  return !e2e_ms || record.latency() * 1e3 <= *e2e_ms;
}

Goodput parse_goodput(std::string_view text) {
  Goodput found;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string part(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const auto colon = part.find(':');
    const std::string name = part.substr(0, colon);
    std::optional<double>* limit = name == "ttft"                    ? &found.ttft_ms
                                   : name == "itl" || name == "tpot" ? &found.itl_ms
                                   : name == "e2e"                   ? &found.e2e_ms
                                                                     : nullptr;
    double value = -1;
    std::size_t used = 0;
    if (colon != std::string::npos) {
      try {
        value = std::stod(part.substr(colon + 1), &used);
      } catch (const std::exception&) {
        used = 0;
      }
    }
    if (limit == nullptr || used == 0 || colon + 1 + used != part.size() ||
        !(value > 0 && value < 1e12))
      fail(ErrorCode::usage,
           "--goodput: '{}' is none of ttft:MS, itl:MS, e2e:MS with milliseconds above 0",
           part.substr(0, 60));
    *limit = value;
  }
  return found;
}

Summary summarize(const Level& level, const Goodput& goodput, double window_s, double tolerance) {
  Summary found;
  found.window_s = window_s > 0 ? std::min(window_s, level.seconds) : level.seconds;
  Values values;
  std::size_t good = 0;
  std::size_t in_window = 0;
  double prompt_tokens = 0;
  found.usage_told = true;
  for (const Record& record : level.records) {
    ++found.sent;
    found.answer_bytes += record.answer_bytes;
    if (!record.ok()) {
      if (record.failure == Failure::cancelled) {
        ++found.cancelled;
        continue;
      }
      ++found.failed;
      ++found.errors[kind_of(record)];
      found.examples.emplace(kind_of(record), record.error);
      continue;
    }
    ++found.completed;
    found.usage_told = found.usage_told && record.output_tokens >= 0;
    found.output_tokens += record.tokens();
    found.pieces += static_cast<std::int64_t>(record.pieces.size());
    found.prompt_tokens += std::max<std::int64_t>(0, record.prompt_tokens);
    values.add(record);
    if (record.end <= found.window_s) {
      ++in_window;
      prompt_tokens += static_cast<double>(std::max<std::int64_t>(0, record.prompt_tokens));
      good += goodput.met_by(record) ? 1 : 0;
    }
  }
  found.usage_told = found.usage_told && found.completed > 0;
  if (found.window_s > 0) {
    found.requests_per_s = static_cast<double>(in_window) / found.window_s;
    found.output_tokens_per_s = tokens_between(level.records, -1, found.window_s) / found.window_s;
    found.prompt_tokens_per_s = prompt_tokens / found.window_s;
    found.good_per_s = static_cast<double>(good) / found.window_s;
  }
  if (level.full_until > 0)
    found.full_tokens_per_s =
        tokens_between(level.records, -1, level.full_until) / level.full_until;
  const auto counted = static_cast<double>(found.sent - found.cancelled);
  const auto all_good = std::count_if(level.records.begin(), level.records.end(),
                                      [&](const Record& one) { return goodput.met_by(one); });
  found.good_share = counted > 0 ? static_cast<double>(all_good) / counted : 0;
  found.ttft = distribution_of(std::move(values.ttft));
  found.itl = distribution_of(std::move(values.itl));
  found.tpot = distribution_of(std::move(values.tpot));
  found.e2e = distribution_of(std::move(values.e2e));
  found.tokens = distribution_of(std::move(values.tokens));
  found.prompt = distribution_of(std::move(values.prompt));
  found.steadiness = steadiness_of(level, found.output_tokens > 0, tolerance);
  return found;
}

}  // namespace tenon::traffic
