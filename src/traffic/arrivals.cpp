#include "traffic/arrivals.h"

#include <charconv>
#include <cmath>
#include <random>

#include "base/error.h"

namespace tenon::traffic {
namespace {

constexpr std::size_t kMostLevels = 1000;

// std::exponential_distribution differs between libraries; this one does not.
class Gaps {
 public:
  Gaps(Spacing spacing, double rate, std::uint64_t seed)
      : spacing_(spacing), rate_(rate), random_(seed) {}
  double time() {
    if (spacing_ == Spacing::constant) return static_cast<double>(count_++) / rate_;
    const double uniform = static_cast<double>(random_() >> 11) * 0x1p-53;
    return elapsed_ += -std::log1p(-uniform) / rate_;
  }

 private:
  Spacing spacing_;
  double rate_;
  std::mt19937_64 random_;
  std::uint64_t count_ = 0;
  double elapsed_ = 0;
};

double parse_number(std::string_view text, std::string_view flag) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0) || value > 1e6)
    fail(ErrorCode::usage, "{}: '{}' is no number above 0 and up to 1000000", flag,
         text.substr(0, 60));
  return value;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Spacing parse_spacing(std::string_view name) {
  if (name == "constant") return Spacing::constant;
  if (name == "poisson") return Spacing::poisson;
  fail(ErrorCode::usage, "arrivals '{}' are not one of poisson, constant", name.substr(0, 60));
}

std::vector<double> arrival_times(Spacing spacing, double rate, std::size_t count,
                                  std::uint64_t seed) {
  Gaps gaps(spacing, rate, seed);
  std::vector<double> times(count);
  for (double& time : times) time = gaps.time();
  return times;
}

std::vector<double> arrival_times_within(Spacing spacing, double rate, double seconds,
                                         std::size_t most, std::uint64_t seed) {
  Gaps gaps(spacing, rate, seed);
  std::vector<double> times;
  while (times.size() < most) {
    const double time = gaps.time();
    if (time >= seconds) break;
    times.push_back(time);
  }
  return times;
}

std::vector<double> parse_levels(std::string_view text, std::string_view flag) {
  const auto range = split(text, ':');
  std::vector<double> levels;
  if (range.size() == 1) {
    for (const auto part : split(text, ',')) levels.push_back(parse_number(part, flag));
  } else if (range.size() <= 3) {
    const double first = parse_number(range[0], flag);
    const double last = parse_number(range[1], flag);
    const double step = range.size() == 3 ? parse_number(range[2], flag) : 1;
    if (last < first) fail(ErrorCode::usage, "{}: the range '{}' falls", flag, text);
    const double count = std::floor((last - first) / step + 1e-9) + 1;
    if (count > static_cast<double>(kMostLevels))
      fail(ErrorCode::usage, "{}: '{}' means {} levels, at most {} are run", flag, text, count,
           kMostLevels);
    for (double i = 0; i < count; ++i) levels.push_back(first + i * step);
  } else {
    fail(ErrorCode::usage, "{}: '{}' is neither a list 1,4,16 nor a range first:last:step", flag,
         text.substr(0, 60));
  }
  if (levels.size() > kMostLevels)
    fail(ErrorCode::usage, "{}: {} levels, at most {} are run", flag, levels.size(), kMostLevels);
  return levels;
}

}  // namespace tenon::traffic
