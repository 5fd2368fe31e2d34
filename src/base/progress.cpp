#include "base/progress.h"

#include <cmath>
#include <cstdio>

#include <fmt/core.h>
#include <unistd.h>

#include "base/error.h"
#include "base/interrupt.h"

namespace tenon {

Progress::Progress(std::string label, std::uint64_t total)
    : label_(std::move(label)),
      total_(total),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      drawn_(start_) {}

Progress::~Progress() {
  if (terminal_) fmt::print(stderr, "\r\033[K");
}

void Progress::advance(std::uint64_t amount) {
  check_interrupt();
  done_ += amount;
  if (!terminal_) return;
  const auto now = Clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw(now);
}

void Progress::draw(Clock::time_point now) {
  const double share = total_ == 0 ? 1.0 : static_cast<double>(done_) / static_cast<double>(total_);
  const double spent = std::chrono::duration<double>(now - start_).count();
  const double left = share > 0 ? spent / share - spent : 0;
  fmt::print(stderr, "\r\033[K{} {:3.0f} %  {} left", label_, share * 100, format_duration(left));
  std::fflush(stderr);
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<long long>(std::llround(std::max(0.0, seconds)));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string format_bytes(std::uint64_t bytes) {
  const char* unit = "B";
  auto value = static_cast<double>(bytes);
  for (const char* next : {"KB", "MB", "GB", "TB"}) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return fmt::format("{:.3g} {}", value, unit);
}

std::uint64_t parse_bytes(const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  std::string unit = text.substr(used);
  const bool binary = unit.size() > 1 && unit[1] == 'i';
  if (!unit.empty() && (unit.back() == 'B' || unit.back() == 'b')) unit.pop_back();
  if (binary && !unit.empty()) unit.pop_back();
  const std::string units = "kmgt";
  double factor = 1;
  if (!unit.empty()) {
    const auto power = units.find(static_cast<char>(std::tolower(unit[0])));
    if (unit.size() > 1 || power == std::string::npos) used = 0;
    factor = std::pow(binary ? 1024.0 : 1000.0, static_cast<double>(power) + 1);
  }
  if (used == 0 || !(value >= 0) || value * factor > 9e18) {
    fail(ErrorCode::usage, "'{}' is not a size such as 8G, 1500M or 64KiB", text);
  }
  return static_cast<std::uint64_t>(value * factor);
}

}  // namespace tenon
