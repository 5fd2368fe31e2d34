// Python's ways to split text. The parts are views of it; a negative limit is none, else it counts
// the cuts.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tenon::text::jinja {

enum class From { left, right };

/// At runs of white space, which also goes from the ends.
std::vector<std::string_view> split_space(std::string_view text, std::int64_t limit);
/// The same with the cuts counted from the right.
std::vector<std::string_view> split_space_from_right(std::string_view text, std::int64_t limit);
/// At a separator, which must not be empty.
std::vector<std::string_view> split_at(std::string_view text, std::string_view separator,
                                       std::int64_t limit, From from);

}  // namespace tenon::text::jinja
