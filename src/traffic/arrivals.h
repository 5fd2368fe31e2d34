// When requests are sent: settled before the first one, so that slow answers cannot delay later
// questions (no coordinated omission).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tenon::traffic {

enum class Spacing { constant, poisson };

/// Throws Error(usage) for anything but `constant` and `poisson`.
Spacing parse_spacing(std::string_view name);

/// Seconds after the start at which `count` requests are due, rising. `rate` > 0 in requests a
/// second. Constant: i / rate. Poisson: gaps -ln(1 - u) / rate of mean 1 / rate from the seed, the
/// first request after the first gap; the same on every machine.
std::vector<double> arrival_times(Spacing spacing, double rate, std::size_t count,
                                  std::uint64_t seed);

/// The same, all that fall before `seconds`; at most `most`.
std::vector<double> arrival_times_within(Spacing spacing, double rate, double seconds,
                                         std::size_t most, std::uint64_t seed);

/// `1,4,16` or `a:b` or `a:b:step` (both ends count), rising or not; numbers > 0, at most 1000 of
/// them. Error(usage) names `flag`.
std::vector<double> parse_levels(std::string_view text, std::string_view flag);

}  // namespace tenon::traffic
