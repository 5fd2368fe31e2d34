#include "serving/trace_context.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include <fmt/format.h>

namespace tenon::serving {
namespace {

std::uint64_t drawn() {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  while (true) {
    if (const std::uint64_t value = random(); value != 0) return value;
  }
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

// version "-" trace-id "-" parent-id "-" flags; later versions may go on behind another dash.
bool is_traceparent(std::string_view text) {
  if (text.size() < 55 || text.size() > 256) return false;
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const std::string_view version = text.substr(0, 2);
  if (!is_hex(version) || version == "ff") return false;
  if (version == "00" ? text.size() != 55 : (text.size() > 55 && text[55] != '-')) return false;
  return is_id(text.substr(3, 32)) && is_id(text.substr(36, 16)) && is_hex(text.substr(53, 2));
}

}  // namespace

std::string TraceContext::traceparent() const {
  return fmt::format("00-{}-{}-{}", trace_id, span_id, sampled ? "01" : "00");
}

TraceContext trace_context(std::string_view traceparent) {
  TraceContext made;
  made.span_id = fmt::format("{:016x}", drawn());
  if (is_traceparent(traceparent)) {
    made.trace_id = traceparent.substr(3, 32);
    made.parent_id = traceparent.substr(36, 16);
    const char low = traceparent[54];  // the lowest bit of the flags is in the last digit
    made.sampled = ((low <= '9' ? low - '0' : low - 'a' + 10) & 1) != 0;
  } else {
    made.trace_id = fmt::format("{:016x}{:016x}", drawn(), drawn());
  }
  return made;
}

}  // namespace tenon::serving
